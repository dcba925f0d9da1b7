#include "compiler.h"
#include "arguments.h"
#include "runtime/artifact/artifact.h"
#include "signals.h"
#include "support/error.h"
#include "support/file.h"

#include <cstdlib>
#include <dlfcn.h>
#include <unistd.h>

namespace linnet::cli {
namespace {

constexpr const char *kLibrary = "liblinnet_compiler.so";

std::string directoryOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string chosenLibrary() {
  const char *chosen = std::getenv("LINNET_COMPILER_LIBRARY");
  return chosen ? chosen : "";
}

/// Paths to try, in order. An explicit path is the only one.
std::vector<std::string> candidates() {
  if (!chosenLibrary().empty()) return {chosenLibrary()};
  std::vector<std::string> paths;
  Dl_info runtime;
  if (dladdr(reinterpret_cast<void *>(&Artifact::open), &runtime) && runtime.dli_fname)
    paths.push_back(directoryOf(runtime.dli_fname) + "/" + kLibrary);
  char self[4096];
  if (ssize_t n = readlink("/proc/self/exe", self, sizeof(self)); n > 0 && n < ssize_t(sizeof(self)))
    paths.push_back(directoryOf(std::string(self, size_t(n))) + "/../lib/" + kLibrary);
  return paths;
}

Result<const CompilerApi *> open(const std::string &command) {
  std::vector<std::string> paths = candidates();
  void *library = nullptr;
  std::string reason;
  for (const std::string &path : paths) {
    if (!fileExists(path)) continue;
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) break;
    reason = dlerror();
  }
  if (!library && reason.empty() && chosenLibrary().empty())
    library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library && !reason.empty())
    return errorf("{} needs the compiler library, which does not load: {}", command, reason);
  if (!library)
    return errorf("{} needs the compiler library, and {} was not found (looked for {}); artifacts (.linnet) "
                  "run without it",
                  command, kLibrary, paths.empty() ? "it where the loader looks" : paths.front());
  auto function = reinterpret_cast<CompilerApiFunction>(dlsym(library, kCompilerApiSymbol));
  if (!function)
    return errorf("{}: no symbol {}: not a Linnet compiler library", kLibrary, kCompilerApiSymbol);
  const CompilerApi *api = function();
  if (!api || api->version != kCompilerApiVersion)
    return errorf(
        "{}: expected interface version {}, found {}: linnet and its compiler library must be of one build",
        kLibrary, kCompilerApiVersion, api ? api->version : 0);
  if (api->removeUnfinishedFiles) addCleanup(api->removeUnfinishedFiles);
  return api;
}

} // namespace

Result<const CompilerApi *> compiler(const std::string &command) {
  static Result<const CompilerApi *> opened = open(command);
  return opened;
}

void requireTargets(const CompilerApi &api, const std::vector<std::string> &targets) {
  for (const std::string &target : targets)
    if (const Result<void> known = api.checkTarget(target); !known)
      usageError("--target: " + known.error().message);
}

} // namespace linnet::cli
