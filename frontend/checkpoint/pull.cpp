#include "frontend/checkpoint/pull.h"
#include "frontend/model/chat_template.h"
#include "frontend/model/generation_settings.h"
#include "support/error.h"
#include "support/file.h"
#include "support/hub_name.h"
#include "support/json.h"
#include "support/unfinished.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <unistd.h>

namespace linnet {
namespace {

constexpr int kTries = 5;
// The first of these that the server has is downloaded, whole or in the shards of its index.
constexpr std::array kWeights = {"model.safetensors", "pytorch_model.bin"};
constexpr const char *kIndexEnding = ".index.json";

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
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

Result<std::string> hashOf(const std::string &path, const EVP_MD *kind, bool git) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  auto bytes = file.bytes();
  std::string start = git ? fmt::format("blob {}", bytes.size()) + '\0' : "";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), kind, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), start.data(), start.size()) != 1 ||
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest, &length) != 1)
    return errorf("{}: cannot compute its hash", path);
  return hex(digest, length);
}
Result<std::string> sha256(const std::string &path) { return hashOf(path, EVP_sha256(), false); }
/// Git's hash of the file, which is the hub's ETag of small files.
Result<std::string> gitHash(const std::string &path) { return hashOf(path, EVP_sha1(), true); }

/// Information about a file in a response's headers.
struct Answer {
  long status = 0;
  std::string etag, location;
  std::optional<uint64_t> length;
};

/// An ETag without its quotes and weakness mark.
std::string plainEtag(std::string_view value) {
  if (value.substr(0, 2) == "W/") value.remove_prefix(2);
  while (!value.empty() && value.front() == '"') value.remove_prefix(1);
  while (!value.empty() && value.back() == '"') value.remove_suffix(1);
  return std::string(value);
}
bool isHex(const std::string &text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

struct Transfer {
  Answer answer;           ///< of the last response, after redirects
  std::string linked_etag; ///< X-Linked-Etag: the SHA-256 of a large file; redirects have it
  std::optional<uint64_t> linked_size;
  std::FILE *file = nullptr; ///< receives the body of a successful response; null drops it
  uint64_t start = 0, written = 0;
  int disk_error = 0;
  const Progress *progress = nullptr;
  std::string what;

  void header(std::string_view line) {
    while (!line.empty() && std::strchr("\r\n ", line.back())) line.remove_suffix(1);
    if (line.substr(0, 5) == "HTTP/") {
      answer = {};
      size_t space = line.find(' ');
      if (space != std::string_view::npos) answer.status = std::atol(std::string(line.substr(space)).c_str());
      return;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string name(line.substr(0, colon));
    for (char &c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string value(line.substr(colon + 1));
    value.erase(0, value.find_first_not_of(' '));
    if (name == "etag") answer.etag = plainEtag(value);
    if (name == "location") answer.location = value;
    if (name == "content-length") answer.length = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "x-linked-etag") linked_etag = plainEtag(value);
    if (name == "x-linked-size") linked_size = std::strtoull(value.c_str(), nullptr, 10);
  }

  bool body(const char *data, size_t n) {
    if (!file || answer.status >= 300) return true;
    if (start && answer.status != 206) { // the server sends the whole file instead of the rest
      start = 0;
      if (std::fflush(file) != 0 || ftruncate(fileno(file), 0) != 0) return disk_error = errno, false;
    }
    if (std::fwrite(data, 1, n, file) != n) return disk_error = errno, false;
    written += n;
    if (progress && *progress) (*progress)(start + written, start + answer.length.value_or(0), what);
    return true;
  }
};

size_t onHeader(char *data, size_t size, size_t count, void *user) {
  static_cast<Transfer *>(user)->header({data, size * count});
  return size * count;
}
size_t onBody(char *data, size_t size, size_t count, void *user) {
  return static_cast<Transfer *>(user)->body(data, size * count) ? size * count : 0;
}

struct Curl {
  CURL *handle = curl_easy_init();
  curl_slist *headers = nullptr;
  ~Curl() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
};

/// The hub's information about a file before the download.
struct FileFacts {
  std::string etag;   ///< SHA-256 of a large file, Git's hash of a small one, or whatever the server has
  std::string sha256; ///< empty if the server gives none
  std::optional<uint64_t> size;
  bool own = true; ///< whether the hub serves it, so that the ETag is valid in If-Range
};

class Hub {
public:
  Hub() {
    endpoint = environment("HF_ENDPOINT");
    if (endpoint.empty()) endpoint = "https://huggingface.co";
    while (endpoint.size() > 1 && endpoint.back() == '/') endpoint.pop_back();
    token = environment("HF_TOKEN");
  }

  /// Requests information about a file. Redirects within the hub (a renamed model) are followed. A redirect
  /// to another host is the result: its headers describe the file, and signed addresses elsewhere often
  /// reject HEAD.
  Result<FileFacts> ask(std::string url, long &status) {
    FileFacts facts;
    for (int redirects = 0; redirects < 8; ++redirects) {
      Transfer transfer;
      LINNET_TRY(perform(url, transfer, 0, "", true));
      status = transfer.answer.status;
      bool redirect = status >= 300 && status < 400;
      std::string &location = transfer.answer.location;
      if (!location.empty() && location[0] == '/' && location.substr(0, 2) != "//")
        location = endpoint + location;
      bool inside = location.substr(0, endpoint.size() + 1) == endpoint + "/";
      if (redirect && inside && transfer.linked_etag.empty()) {
        url = location;
        continue;
      }
      if (status >= 400) return errorf("{}: the server answers {}", url, status);
      facts.own = !redirect;
      facts.etag = transfer.linked_etag.empty() ? transfer.answer.etag : transfer.linked_etag;
      if (isHex(transfer.linked_etag, 64)) facts.sha256 = transfer.linked_etag;
      facts.size = transfer.linked_size ? transfer.linked_size
                   : redirect           ? std::nullopt
                                        : transfer.answer.length;
      return facts;
    }
    return errorf("{}: too many redirects", url);
  }

  /// Makes one request. `start` > 0 requests the rest of a file. `condition` is its If-Range, if any.
  Result<void> perform(const std::string &url, Transfer &transfer, uint64_t start,
                       const std::string &condition, bool head) {
    Curl curl;
    if (!curl.handle) return Error{"libcurl cannot start"};
    char reason[CURL_ERROR_SIZE] = "";
    auto set = [&](auto option, auto value) { curl_easy_setopt(curl.handle, option, value); };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_FOLLOWLOCATION, head ? 0L : 1L);
    set(CURLOPT_MAXREDIRS, 8L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, 30L);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, 60L);
    set(CURLOPT_USERAGENT, "linnet");
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_NOBODY, head ? 1L : 0L);
    set(CURLOPT_HEADERFUNCTION, onHeader);
    set(CURLOPT_HEADERDATA, &transfer);
    set(CURLOPT_WRITEFUNCTION, onBody);
    set(CURLOPT_WRITEDATA, &transfer);
    // A bearer token set this way is dropped by libcurl when a redirect leaves the host and port.
    if (!token.empty()) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      set(CURLOPT_XOAUTH2_BEARER, token.c_str());
    }
    if (start > 0) set(CURLOPT_RANGE, fmt::format("{}-", start).c_str());
    if (start > 0 && !condition.empty()) {
      curl.headers = curl_slist_append(nullptr, fmt::format("If-Range: \"{}\"", condition).c_str());
      set(CURLOPT_HTTPHEADER, curl.headers);
    }
    transfer.start = start;
    CURLcode code = curl_easy_perform(curl.handle);
    if (transfer.disk_error) return errorf("cannot write: {}", std::strerror(transfer.disk_error));
    if (code == CURLE_OK) return {};
    return errorf("{}: {}", url, *reason ? reason : curl_easy_strerror(code));
  }

  std::string url(const std::string &model, const std::string &file) const {
    return fmt::format("{}/{}/resolve/main/{}", endpoint, model, file);
  }

  std::string endpoint, token;
};

/// A failure, and whether a retry may succeed.
struct Failure {
  Error error;
  bool passing = true;
};
bool isPassing(long status) { return status < 400 || status == 408 || status == 429 || status >= 500; }

class Download {
public:
  Download(Hub &hub, std::string model, std::string directory, const Progress &progress,
           std::chrono::milliseconds pause)
      : hub(hub), model(std::move(model)), directory(std::move(directory)), progress(progress), pause(pause) {
  }

  /// Downloads one file. Returns false if the server does not have it.
  Result<bool> file(const std::string &name) {
    std::string url = hub.url(model, name);
    for (int attempt = 1;; ++attempt) {
      long status = 0;
      std::optional<Failure> failure;
      auto facts = hub.ask(url, status);
      if (status == 404) return false;
      if (status == 401 || status == 403)
        return errorf("{}: the server answers {}: no such model, or HF_TOKEN (which is {}) may not read it",
                      url, status, hub.token.empty() ? "not set" : "set");
      if (facts)
        failure = fetch(url, name, *facts);
      else
        failure = Failure{facts.error(), isPassing(status)};
      if (!failure) return true;
      if (!failure->passing) return failure->error;
      if (attempt == kTries) return errorf("{} (after {} tries)", failure->error.message, kTries);
      std::this_thread::sleep_for(pause * (1 << (attempt - 1)));
    }
  }

private:
  std::optional<Failure> fetch(const std::string &url, const std::string &name, const FileFacts &facts) {
    std::string path = directory + "/" + name, partial = path + ".incomplete";
    if (isSame(path, facts)) return {};
    if (auto failure = body(url, name, partial, facts)) return failure;
    std::error_code ignored;
    uint64_t size = std::filesystem::file_size(partial, ignored);
    if (facts.size && size != *facts.size) {
      if (size > *facts.size) discard(partial);
      return Failure{errorf("{}: {} bytes came, the server says {}", url, size, *facts.size)};
    }
    if (!facts.sha256.empty()) {
      auto found = sha256(partial);
      if (!found || *found != facts.sha256) {
        discard(partial);
        return Failure{found ? errorf("{}: SHA-256 is {}, the server says {}", url, *found, facts.sha256)
                             : found.error()};
      }
    }
    if (std::rename(partial.c_str(), path.c_str()) != 0)
      return Failure{errorf("{}: cannot rename into place: {}", path, std::strerror(errno)), false};
    std::remove((partial + ".etag").c_str());
    return {};
  }

  /// Whether the local file is equal to the server's, by the server's hash.
  static bool isSame(const std::string &path, const FileFacts &facts) {
    if (!fileExists(path)) return false;
    auto found = !facts.sha256.empty()   ? sha256(path)
                 : isHex(facts.etag, 40) ? gitHash(path)
                                         : Result<std::string>("");
    return found && !found->empty() && *found == facts.etag;
  }

  static void discard(const std::string &partial) {
    std::remove(partial.c_str());
    std::remove((partial + ".etag").c_str());
  }

  /// Continues the partial file if it belongs to this version of the file, or starts it.
  std::optional<Failure> body(const std::string &url, const std::string &name, const std::string &partial,
                              const FileFacts &facts) {
    auto known = readTextFile(partial + ".etag");
    std::error_code ignored;
    uint64_t have = 0;
    if (known && *known == facts.etag && !facts.etag.empty() && fileExists(partial))
      have = std::filesystem::file_size(partial, ignored);
    else
      discard(partial);
    if (have && facts.size && have == *facts.size) return {}; // complete: only the check remains
    if (auto ready = made.make(directory); !ready) return Failure{ready.error(), false};
    if (!facts.etag.empty())
      if (auto noted = writeTextFile(partial + ".etag", facts.etag); !noted)
        return Failure{noted.error(), false};
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(partial.c_str(), have ? "ab" : "wb"),
                                                          std::fclose);
    if (!file) return Failure{errorf("{}: cannot create: {}", partial, std::strerror(errno)), false};
    Transfer transfer;
    transfer.file = file.get();
    transfer.progress = &progress;
    transfer.what = name;
    auto got = hub.perform(url, transfer, have, facts.own ? facts.etag : "", false);
    if (!transfer.disk_error && std::fflush(file.get()) != 0) transfer.disk_error = errno;
    if (transfer.disk_error) // the partial file stays, to be continued when there is space
      return Failure{errorf("{}: cannot write: {}", partial, std::strerror(transfer.disk_error)), false};
    if (!got) return Failure{got.error()};
    long status = transfer.answer.status;
    if (status == 416) { // no such range: the partial file is of another version
      file.reset();
      discard(partial);
      return Failure{errorf("{}: the server does not continue the partial file", url)};
    }
    if (status >= 300) return Failure{errorf("{}: the server answers {}", url, status), isPassing(status)};
    return {};
  }

  Hub &hub;
  MadeDirectories made; ///< created only before the first write
  std::string model, directory;
  const Progress &progress;
  std::chrono::milliseconds pause;
};

std::string defaultDirectory(const std::string &model) {
  std::string home = environment("HF_HOME");
  if (home.empty()) home = environment("HOME") + "/.cache/huggingface";
  return home + "/linnet/" + model;
}

bool holdsWeights(const std::string &directory) {
  return std::any_of(kWeights.begin(), kWeights.end(), [&](const std::string &name) {
    const std::string path = directory + "/" + name;
    return fileExists(path) || fileExists(path + kIndexEnding);
  });
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

Result<std::string> pullCheckpoint(const std::string &model, const std::string &to, const Progress &progress,
                                   std::chrono::milliseconds pause) {
  if (!isHubName(model))
    return errorf("\"{}\" is not the name of a model (expected OWNER/NAME)", model.substr(0, 80));
  std::string directory = to.empty() ? defaultDirectory(model) : to;
  std::string offline = environment("HF_HUB_OFFLINE");
  if (!offline.empty() && offline != "0") {
    if (fileExists(directory + "/config.json") && holdsWeights(directory)) return directory;
    return errorf("HF_HUB_OFFLINE is set and {} does not hold {}", directory, model);
  }
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) return Error{"libcurl cannot start"};

  Hub hub;
  if (hub.endpoint.rfind("http://", 0) != 0 && hub.endpoint.rfind("https://", 0) != 0)
    return errorf("HF_ENDPOINT is expected to be an http:// or https:// address, found {}", hub.endpoint);
  Download download(hub, model, directory, progress, pause);
  LINNET_ASSIGN(bool config, download.file("config.json"));
  if (!config) return errorf("{}: no such model, or it has no config.json", hub.url(model, "config.json"));
  bool found = false;
  for (const char *weights : kWeights) {
    LINNET_ASSIGN(found, download.file(weights));
    if (found) break;
    const std::string index = weights + std::string(kIndexEnding);
    LINNET_ASSIGN(found, download.file(index));
    if (!found) continue;
    LINNET_ASSIGN(std::set<std::string> shards, shardNames(directory + "/" + index));
    for (const std::string &shard : shards) {
      LINNET_ASSIGN(bool there, download.file(shard));
      if (!there) return errorf("{}: shard {} is missing on the server", hub.url(model, shard), shard);
    }
    break;
  }
  if (!found)
    return errorf("{} has none of {}, nor an index of their shards", hub.url(model, ""),
                  fmt::join(kWeights, ", "));
  for (const char *name : {kGenerationConfig, kChatTemplate, "tokenizer.json", "vocab.json", "merges.txt",
                           "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"}) {
    LINNET_TRY(download.file(name)); // optional files
  }
  return directory;
}

} // namespace linnet
