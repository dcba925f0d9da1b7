// Links in this process with lld. lld reads and writes files only, so they are in a private temporary folder.
#include "backends/cpu/codegen.h"
#include "support/error.h"

#include <lld/Common/Driver.h>
#include <llvm/Support/FileSystem.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>
#include <mutex>

LLD_HAS_DRIVER(elf)

namespace linnet::cpu {
namespace {

/// A temporary folder that the destructor removes.
struct TemporaryFolder {
  llvm::SmallString<128> path;
  std::error_code error = llvm::sys::fs::createUniqueDirectory("linnet-link", path);
  ~TemporaryFolder() {
    if (!error) llvm::sys::fs::remove_directories(path);
  }
  std::string file(const char *name) const { return (path + "/" + name).str(); }
};

} // namespace

Result<std::string> linkShared(const std::string &object, const Isa &isa) {
  static std::mutex one_at_a_time; // lld keeps its state in globals
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  const TemporaryFolder folder;
  if (folder.error) return errorf("target cpu: no temporary folder to link in: {}", folder.error.message());
  const std::string input = folder.file("kernels.o"), output = folder.file("kernels.so");
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(input, error);
    if (!error) stream << object;
    stream.close();
    if (error || stream.has_error()) return errorf("{}: cannot write the object to link", input);
  }
  const std::vector<const char *> arguments = {"ld.lld",
                                               "-shared",
                                               "--no-undefined",
                                               "--hash-style=gnu",
                                               "--build-id=none",
                                               "--strip-all",
                                               "-z",
                                               "noseparate-code",
                                               "-z",
                                               "norelro",
                                               "--threads=1",
                                               "-z",
                                               "max-page-size=4096",
                                               "-Bsymbolic",
                                               "--eh-frame-hdr",
                                               "-o",
                                               output.c_str(),
                                               input.c_str()};
  std::string messages;
  llvm::raw_string_ostream errors(messages);
  const lld::Result result = lld::lldMain(arguments, errors, errors, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return errorf("target cpu: linking the kernels for {} failed: {}", isa.name, messages);
  auto image = llvm::MemoryBuffer::getFile(output);
  if (!image) return errorf("{}: cannot read the linked kernels: {}", output, image.getError().message());
  return (*image)->getBuffer().str();
}

} // namespace linnet::cpu
