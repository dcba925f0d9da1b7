#include "compiler/cache.h"

#include "linnet/version.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/hash.h"
#include "support/cache_directory.h"
#include "support/error.h"
#include "support/file.h"
#include "support/processor.h"
#include "support/unfinished.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/TargetParser/Host.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <filesystem>
#include <sys/stat.h>

namespace linnet {
namespace {

uint64_t hashOf(std::string_view text) {
  StreamingHash hash;
  hash.append(std::as_bytes(std::span(text)));
  return hash.digest();
}

/// A text that changes whenever the file's contents may have changed.
Result<std::string> identityOf(const std::string &path, bool &stable) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return errorf("{}: {}", path, std::strerror(errno));
  stable = std::max(st.st_mtim.tv_sec, st.st_ctim.tv_sec) + 2 < std::time(nullptr);
  return fmt::format("{} {} {} {}.{} {}.{}", st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec,
                     st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/// The path of this library. It is a part of the key, because another build may compile differently.
std::string ownPath() {
  Dl_info info;
  static const int here = 0;
  return dladdr(&here, &info) && info.dli_fname ? info.dli_fname : "";
}

} // namespace

Result<CompileCache> CompileCache::open() {
  CompileCache cache;
  cache.directory = cacheDirectory();
  if (cache.directory.empty())
    return errorf("no place for compiled models: none of LINNET_CACHE_DIR, XDG_CACHE_HOME and HOME is set");
  for (const char *part : {"/compiled", "/hashes"}) {
    std::error_code code;
    std::filesystem::create_directories(cache.directory + part, code);
    if (code) return errorf("{}{}: cannot be created: {}", cache.directory, part, code.message());
    removeAbandoned(cache.directory + part);
  }
  return cache;
}

Result<uint64_t> CompileCache::contentHash(const std::string &path) const {
  bool stable = false;
  LINNET_ASSIGN(std::string before, identityOf(path, stable));
  std::error_code ignored;
  std::string real = std::filesystem::weakly_canonical(path, ignored).string();
  std::string note = fmt::format("{}/hashes/{:016x}", directory, hashOf(real.empty() ? path : real));
  if (auto remembered = readTextFile(note)) {
    size_t cut = remembered->rfind(' ');
    if (cut != std::string::npos && remembered->substr(0, cut) == before)
      return std::strtoull(remembered->c_str() + cut + 1, nullptr, 16);
  }
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  StreamingHash hash;
  hash.append(file.bytes());
  bool still = false;
  LINNET_ASSIGN(std::string after, identityOf(path, still));
  // Errors are ignored: without the stored hash the next start only takes longer.
  if (stable && before == after)
    (void)writeTextFile(note, fmt::format("{} {:016x}", before, hash.digest())).ok();
  return hash.digest();
}

Result<std::string> CompileCache::keyOf(const std::vector<std::string> &files,
                                        const CompileOptions &options) const {
  std::string text = fmt::format("linnet {} format {}\n", version(), artifactFormatVersion());
  if (std::string own = ownPath(); !own.empty()) {
    LINNET_ASSIGN(uint64_t hash, contentHash(own));
    text += fmt::format("compiler {:016x}\n", hash);
  }
  for (const std::string &path : files) {
    LINNET_ASSIGN(uint64_t hash, contentHash(path));
    text += fmt::format("{} {:016x}\n", std::filesystem::path(path).filename().string(), hash);
  }
  for (const std::string &target : options.targets) {
    text += "target " + target + "\n";
    if (target.find(":native") != std::string::npos)
      text += fmt::format("host {} {}\n", llvm::sys::getHostCPUName().str(), processorLimit());
  }
  text += fmt::format("context {} batch {} level {} dtype {} cache {} pipeline {}\n", options.max_context,
                      options.max_batch, options.opt_level, options.dtype, options.kv_cache,
                      options.pass_pipeline);
  if (options.dtype == "auto") text += fmt::format("divergence {}\n", options.max_divergence);
  if (!options.calibration.empty()) {
    LINNET_ASSIGN(uint64_t hash, contentHash(options.calibration));
    text += fmt::format("calibration {:016x}\n", hash);
  }
  if (!options.onednn) text += "without oneDNN\n";
  for (const std::string &setting : options.settings) text += "set " + setting + "\n";
  text += "first " + options.first_passes + "\n";
  for (const std::string &plugin : options.pass_plugins) {
    LINNET_ASSIGN(uint64_t hash, contentHash(plugin));
    text += fmt::format("plugin {:016x}\n", hash);
  }
  for (const std::string &pass : options.disabled_passes) text += "without " + pass + "\n";
  return fmt::format("{:016x}", hashOf(text));
}

std::string CompileCache::artifactPath(const std::string &input, const std::string &key) const {
  std::filesystem::path path(input);
  std::string name = path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_') c = '_';
  constexpr size_t kLongestName = 100;
  return fmt::format("{}/compiled/{}-{}.linnet", directory, name.substr(0, kLongestName), key);
}

bool CompileCache::holds(const std::string &artifact) const {
  return fileExists(artifact) && Artifact::open(artifact).ok();
}

} // namespace linnet
