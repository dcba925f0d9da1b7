#include "frontend/checkpoint/pull.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <thread>

namespace linnet {
namespace {

constexpr int kTries = 5;

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// OWNER/NAME or NAME, of letters, digits, '-', '_' and '.'.
bool isModelName(const std::string &model) {
  int slashes = 0;
  for (char c : model) {
    if (c == '/')
      ++slashes;
    else if (!std::isalnum(static_cast<unsigned char>(c)) && !std::strchr("-_.", c))
      return false;
  }
  return slashes <= 1 && !model.empty() && model.front() != '/' && model.back() != '/' &&
         model.front() != '.' && model.find("..") == std::string::npos &&
         model.find("/.") == std::string::npos;
}
bool isFileName(const std::string &name) {
  return !name.empty() && name.size() < 256 && name[0] != '.' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
             std::string::npos;
}

std::string hex(const unsigned char *bytes, unsigned n) {
  std::string text;
  for (unsigned i = 0; i < n; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

Result<std::string> sha256(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  auto bytes = file.bytes();
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) != 1)
    return errorf("{}: SHA-256 failed", path);
  return hex(digest, length);
}

/// What the server says about one file.
struct Answer {
  long status = 0;
  std::string etag, linked_etag;
  uint64_t length = 0;
};

/// An ETag without its quotes and weakness mark.
std::string plainEtag(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '"')) value.remove_prefix(1);
  if (value.substr(0, 3) == "W/\"") value.remove_prefix(3);
  while (!value.empty() && std::strchr(" \"\r\n", value.back())) value.remove_suffix(1);
  return std::string(value);
}
bool isSha256(const std::string &text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

struct Transfer {
  Answer answer;
  std::FILE *file = nullptr; ///< body of a successful answer; null drops it
  std::string text;          ///< body when there is no file
  uint64_t start = 0, written = 0;
  bool restarted = false, disk_full = false;
  const Progress *progress = nullptr;
  std::string what;

  void header(std::string_view line) {
    if (line.substr(0, 5) == "HTTP/") {
      answer = {};
      return;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string name(line.substr(0, colon));
    for (char &c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string_view value = line.substr(colon + 1);
    if (name == "etag") answer.etag = plainEtag(value);
    if (name == "x-linked-etag") linked = plainEtag(value); // on the redirect, before the final answer
    if (name == "content-length") answer.length = std::strtoull(std::string(value).c_str(), nullptr, 10);
  }
  std::string linked;
};

size_t onHeader(char *data, size_t size, size_t count, void *user) {
  static_cast<Transfer *>(user)->header({data, size * count});
  return size * count;
}

struct Curl {
  CURL *handle = curl_easy_init();
  curl_slist *headers = nullptr;
  ~Curl() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
};

size_t onBody(char *data, size_t size, size_t count, void *user) {
  auto &transfer = *static_cast<Transfer *>(user);
  size_t n = size * count;
  if (!transfer.file) {
    if (transfer.text.size() + n < 64 << 20) transfer.text.append(data, n);
    return n;
  }
  if (std::fwrite(data, 1, n, transfer.file) != n) {
    transfer.disk_full = true;
    return 0;
  }
  transfer.written += n;
  if (transfer.progress && *transfer.progress)
    (*transfer.progress)(transfer.start + transfer.written, transfer.start + transfer.answer.length,
                         transfer.what);
  return n;
}

class Hub {
public:
  Hub() {
    endpoint = environment("HF_ENDPOINT");
    if (endpoint.empty()) endpoint = "https://huggingface.co";
    while (endpoint.size() > 1 && endpoint.back() == '/') endpoint.pop_back();
    token = environment("HF_TOKEN");
  }

  /// One request. `range_from` > 0 asks for the rest of a file that still has `etag`.
  Result<void> get(const std::string &url, Transfer &transfer, uint64_t range_from, const std::string &etag,
                   bool head) {
    Curl curl;
    if (!curl.handle) return Error{"libcurl cannot start"};
    char reason[CURL_ERROR_SIZE] = "";
    auto set = [&](auto option, auto value) { curl_easy_setopt(curl.handle, option, value); };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 8L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, 30L);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, 60L);
    set(CURLOPT_USERAGENT, "linnet");
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_NOBODY, head ? 1L : 0L);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_HEADERFUNCTION, onHeader);
    set(CURLOPT_HEADERDATA, &transfer);
    set(CURLOPT_WRITEFUNCTION, onBody);
    set(CURLOPT_WRITEDATA, &transfer);
    // A bearer token set this way is dropped by libcurl when a redirect leaves the host.
    if (!token.empty()) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      set(CURLOPT_XOAUTH2_BEARER, token.c_str());
    }
    if (range_from > 0) {
      set(CURLOPT_RANGE, fmt::format("{}-", range_from).c_str());
      curl.headers = curl_slist_append(curl.headers, fmt::format("If-Range: \"{}\"", etag).c_str());
      set(CURLOPT_HTTPHEADER, curl.headers);
    }
    transfer.start = range_from;
    CURLcode code = curl_easy_perform(curl.handle);
    curl_easy_getinfo(curl.handle, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
    transfer.answer.linked_etag = transfer.linked;
    if (code == CURLE_OK) return {};
    if (transfer.disk_full) return errorf("cannot write: {}", std::strerror(errno));
    return errorf("{}: {}", url, *reason ? reason : curl_easy_strerror(code));
  }

  std::string url(const std::string &model, const std::string &file) const {
    return fmt::format("{}/{}/resolve/main/{}", endpoint, model, file);
  }

  std::string endpoint, token;
};

/// Whether another try may go better: the network and the server's passing troubles.
bool passing(long status) {
  return status == 0 || status == 200 || status == 206 || status == 408 || status == 429 || status >= 500;
}

class Download {
public:
  Download(Hub &hub, std::string model, std::string directory, const Progress &progress)
      : hub(hub), model(std::move(model)), directory(std::move(directory)), progress(progress) {}

  /// Brings one file; false when the server has none.
  Result<bool> file(const std::string &name) {
    std::string url = hub.url(model, name), path = directory + "/" + name, partial = path + ".incomplete";
    Error last{"no try was made"};
    for (int attempt = 0; attempt < kTries; ++attempt) {
      if (attempt) std::this_thread::sleep_for(std::chrono::milliseconds(200 << attempt));
      Transfer probe;
      if (auto asked = hub.get(url, probe, 0, "", true); !asked) {
        if (probe.answer.status == 404) return false;
        if (probe.answer.status == 401 || probe.answer.status == 403)
          return errorf("{}: access denied ({}); is HF_TOKEN set, and may it read {}?", url,
                        probe.answer.status, model);
        last = asked.error();
        if (!passing(probe.answer.status)) return last;
        continue;
      }
      std::string checksum = isSha256(probe.answer.linked_etag) ? probe.answer.linked_etag : "";
      std::string etag = probe.answer.linked_etag.empty() ? probe.answer.etag : probe.answer.linked_etag;
      if (upToDate(path, checksum, etag)) return true;
      auto got = body(url, partial, etag, probe.answer.etag, name);
      if (!got) {
        last = got.error();
        if (!passing(*last_status)) return last;
        continue;
      }
      if (!checksum.empty()) {
        LINNET_ASSIGN(std::string found, sha256(partial));
        if (found != checksum) {
          discard(partial);
          last = errorf("{}: SHA-256 is {}, the server says {}", url, found, checksum);
          continue;
        }
      }
      LINNET_TRY(finish(partial, path, etag));
      return true;
    }
    return errorf("{} (after {} tries)", last.message, kTries);
  }

private:
  static bool upToDate(const std::string &path, const std::string &checksum, const std::string &etag) {
    if (!fileExists(path)) return false;
    if (!checksum.empty()) {
      auto found = sha256(path);
      return found && *found == checksum;
    }
    auto known = readTextFile(path + ".etag");
    return !etag.empty() && known && *known == etag;
  }

  static void discard(const std::string &partial) {
    std::remove(partial.c_str());
    std::remove((partial + ".etag").c_str());
  }

  /// Continues or starts the partial file.
  Result<void> body(const std::string &url, const std::string &partial, const std::string &etag,
                    const std::string &validator, const std::string &name) {
    auto known = readTextFile(partial + ".etag");
    std::error_code ignored;
    uint64_t have = 0;
    if (known && *known == etag && !etag.empty() && fileExists(partial))
      have = std::filesystem::file_size(partial, ignored);
    else
      discard(partial);
    if (!etag.empty()) LINNET_TRY(writeTextFile(partial + ".etag", etag));
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(partial.c_str(), have ? "ab" : "wb"),
                                                          std::fclose);
    if (!file) return errorf("{}: cannot create: {}", partial, std::strerror(errno));
    Transfer transfer;
    transfer.file = file.get();
    transfer.progress = &progress;
    transfer.what = name;
    auto got = hub.get(url, transfer, have, validator, false);
    status = transfer.answer.status;
    last_status = &status;
    if (std::fflush(file.get()) != 0) return errorf("{}: cannot write: {}", partial, std::strerror(errno));
    if (have && transfer.answer.status == 200) {
      // The server sent the whole file behind what was there: start again next time.
      file.reset();
      discard(partial);
      status = 0;
      return errorf("{}: the server does not resume; starting again", url);
    }
    if (have && transfer.answer.status == 416) { // nothing is left to send, or the partial file is wrong
      status = 0;
      if (auto checksum = sha256(partial); isSha256(etag) && checksum && *checksum == etag) return {};
      file.reset();
      discard(partial);
      return errorf("{}: the partial file does not continue; starting again", url);
    }
    return got;
  }

  static Result<void> finish(const std::string &partial, const std::string &path, const std::string &etag) {
    if (std::rename(partial.c_str(), path.c_str()) != 0)
      return errorf("{}: cannot rename into place: {}", path, std::strerror(errno));
    std::remove((partial + ".etag").c_str());
    return etag.empty() ? Result<void>() : writeTextFile(path + ".etag", etag);
  }

  Hub &hub;
  std::string model, directory;
  const Progress &progress;
  long status = 0;
  const long *last_status = &status;
};

std::string defaultDirectory(const std::string &model) {
  std::string home = environment("HF_HOME");
  if (home.empty()) home = environment("HOME") + "/.cache/huggingface";
  return home + "/linnet/" + model;
}

Result<std::set<std::string>> shardNames(const std::string &index_path) {
  LINNET_ASSIGN(Json json, readJsonFile(index_path, 8, 1 << 14));
  std::set<std::string> names;
  if (json.is_object() && json.contains("weight_map") && json["weight_map"].is_object())
    for (auto &[tensor, shard] : json["weight_map"].items()) {
      if (!shard.is_string() || !isFileName(shard.get<std::string>()))
        return errorf("{}: \"{}\" does not name a file", index_path, shard.dump().substr(0, 80));
      names.insert(shard.get<std::string>());
    }
  if (names.empty()) return errorf("{}: expected an object \"weight_map\" from tensors to files", index_path);
  return names;
}

} // namespace

Result<std::string> pullCheckpoint(const std::string &model, const std::string &to,
                                   const Progress &progress) {
  if (!isModelName(model))
    return errorf("\"{}\" is not the name of a model (expected OWNER/NAME)", model.substr(0, 80));
  std::string directory = to.empty() ? defaultDirectory(model) : to;
  std::string offline = environment("HF_HUB_OFFLINE");
  if (!offline.empty() && offline != "0") {
    if (fileExists(directory + "/config.json") && (fileExists(directory + "/model.safetensors") ||
                                                   fileExists(directory + "/model.safetensors.index.json")))
      return directory;
    return errorf("HF_HUB_OFFLINE is set and {} does not hold {}", directory, model);
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return errorf("{}: cannot create: {}", directory, error.message());
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) return Error{"libcurl cannot start"};

  Hub hub;
  Download download(hub, model, directory, progress);
  LINNET_ASSIGN(bool config, download.file("config.json"));
  if (!config) return errorf("{}: no such model, or it has no config.json", hub.url(model, "config.json"));
  LINNET_ASSIGN(bool single, download.file("model.safetensors"));
  if (!single) {
    LINNET_ASSIGN(bool sharded, download.file("model.safetensors.index.json"));
    if (!sharded)
      return errorf("{} has neither model.safetensors nor model.safetensors.index.json", hub.url(model, ""));
    LINNET_ASSIGN(std::set<std::string> shards, shardNames(directory + "/model.safetensors.index.json"));
    for (const std::string &shard : shards) {
      LINNET_ASSIGN(bool there, download.file(shard));
      if (!there) return errorf("{}: shard {} is missing on the server", hub.url(model, shard), shard);
    }
  }
  for (const char *name : {"tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json",
                           "special_tokens_map.json", "tokenizer_config.json"}) {
    LINNET_ASSIGN(bool there, download.file(name));
    (void)there;
  }
  return directory;
}

} // namespace linnet
