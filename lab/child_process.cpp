#include "lab/child_process.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace linnet::lab {
namespace {

/// Removes the parent's signal handlers from the child. A crash then ends it at once, without a core file.
/// The child also ends with its parent.
void becomeExpendable(int output) {
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
}

/// The last non-blank line of the file, with unprintable characters replaced.
std::string lastLine(int file) {
  constexpr off_t kTail = 4096;
  constexpr size_t kLongest = 200;
  const off_t size = lseek(file, 0, SEEK_END), from = std::max<off_t>(0, size - kTail);
  std::string tail(size > 0 ? static_cast<size_t>(size - from) : 0, '\0');
  const ssize_t read = pread(file, tail.data(), tail.size(), from);
  tail.resize(read > 0 ? static_cast<size_t>(read) : 0);
  llvm::StringRef text = llvm::StringRef(tail).rtrim();
  std::string line = text.substr(text.rfind('\n') + 1).take_front(kLongest).str(); // npos + 1 is 0
  std::replace_if(
      line.begin(), line.end(), [](char c) { return !llvm::isPrint(c); }, '?');
  return line;
}

std::string endingOf(int status, int output) {
  std::string how = fmt::format("ends the process with exit code {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    std::string signal = strsignal(WTERMSIG(status));
    signal[0] = llvm::toLower(signal[0]);
    how = "crashes: " + signal;
  }
  const std::string line = lastLine(output);
  return line.empty() ? how : how + "; its last line: " + line;
}

} // namespace

std::optional<std::string> crashOf(llvm::function_ref<void()> work) {
  SharedMemory<bool> done;
  const int output = memfd_create("linnet-child-output", MFD_CLOEXEC);
  const pid_t child = done.get() && output >= 0 ? fork() : -1;
  if (child == 0) {
    becomeExpendable(output);
    work();
    *done.get() = true;
    _exit(0);
  }
  int status = 0;
  pid_t ended = child;
  while (child > 0 && (ended = waitpid(child, &status, 0)) < 0 && errno == EINTR) {
  }
  std::optional<std::string> crash;
  if (child > 0 && ended == child && !*done.get()) crash = endingOf(status, output);
  if (output >= 0) close(output);
  return crash;
}

} // namespace linnet::lab
