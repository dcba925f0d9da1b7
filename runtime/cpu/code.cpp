#include "runtime/cpu/code.h"
#include "support/error.h"
#include "support/processor.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace linnet::cpu {
namespace {

// The features of a variant that the processor lacks; empty if it can run the variant.
std::string lacking(const fb::Code &code) {
  std::string list;
  for (const auto *feature : *code.features())
    if (!hostHasFeature(feature->string_view())) {
      if (!list.empty()) list += ' ';
      list += feature->string_view();
    }
  return list;
}

// The dynamic linker identifies files by name, so each path to a descriptor is spelled differently.
std::string uniquePath(int fd) {
  static std::atomic<uint32_t> counter{0};
  std::string path = "/proc/self/fd/";
  for (uint32_t n = counter++; n; n >>= 1) path += n & 1 ? "./" : "/";
  return path + std::to_string(fd);
}

Result<void> writeAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errorf("cannot copy machine code: {}", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<void *> openLibrary(int fd, const std::string &path, std::span<const std::byte> elf) {
  LINNET_TRY(writeAll(fd, elf));
  if (void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  const char *why = dlerror();
  return errorf("cannot load machine code: {}", why ? why : "unknown reason");
}

Result<void *> loadFromMemory(std::span<const std::byte> elf) {
  int fd = memfd_create("linnet-kernels", MFD_CLOEXEC);
  if (fd < 0) return errorf("no memory file: {}", std::strerror(errno));
  auto handle = openLibrary(fd, uniquePath(fd), elf);
  ::close(fd);
  return handle;
}

// If memory files or /proc are not available: loads from a private file, which is removed as soon as it is
// mapped.
Result<void *> loadFromFile(std::span<const std::byte> elf) {
  const char *directory = std::getenv("TMPDIR");
  std::string path = std::string(directory && *directory ? directory : "/tmp") + "/linnet-kernels-XXXXXX";
  int fd = mkstemp(path.data());
  if (fd < 0) return errorf("cannot create {}: {}", path, std::strerror(errno));
  auto handle = openLibrary(fd, path, elf);
  ::close(fd);
  ::unlink(path.c_str());
  return handle;
}

} // namespace

Result<const fb::Code *> chooseCode(const fb::Program &program) {
  LINNET_TRY(checkProcessorVariable());
  std::string reasons;
  for (uint32_t i = 0; i < program.code()->size(); ++i) {
    const fb::Code *code = program.code()->Get(i);
    std::string missing = lacking(*code);
    if (missing.empty()) return code;
    reasons += fmt::format("{}{} needs {}", reasons.empty() ? "" : "; ", code->isa()->string_view(), missing);
  }
  return errorf("no machine code in the artifact runs on this processor: {}",
                reasons.empty() ? "it has none" : reasons);
}

Result<LoadedCode> LoadedCode::load(const Artifact &artifact, const fb::Program &program) {
  LoadedCode code;
  if (program.kernels()->size() == 0) return code;
  LINNET_ASSIGN(const fb::Code *chosen, chooseCode(program));
  auto elf = artifact.blob(*chosen->blob());
  auto handle = loadFromMemory(elf);
  if (!handle) handle = loadFromFile(elf);
  if (!handle) return errorf("{}: {}", artifact.path(), handle.error().message);
  code.handle = *handle;
  code.variant = chosen->isa()->str();
  code.kernels.reserve(program.kernels()->size());
  for (const auto *name : *program.kernels()) {
    void *address = dlsym(code.handle, name->c_str());
    if (!address)
      return errorf("{}: machine code for {} lacks kernel {}", artifact.path(), code.variant,
                    name->string_view());
    code.kernels.push_back(reinterpret_cast<Kernel>(address));
  }
  return code;
}

LoadedCode::LoadedCode(LoadedCode &&other) noexcept { *this = std::move(other); }
LoadedCode &LoadedCode::operator=(LoadedCode &&other) noexcept {
  std::swap(handle, other.handle);
  std::swap(variant, other.variant);
  std::swap(kernels, other.kernels);
  return *this;
}
LoadedCode::~LoadedCode() {
  if (handle) dlclose(handle);
}

} // namespace linnet::cpu
