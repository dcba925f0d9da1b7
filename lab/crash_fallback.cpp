#include "lab/crash_fallback.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace linnet::lab {
namespace {

constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
constexpr size_t kStackBytes = 64 << 10;

/// The copy to hand over to, for a signal handler. `owner` is the process that made it; its children inherit
/// these variables and must not use them.
std::atomic<pid_t> owner, copy_of_owner;
std::atomic<int> wake_copy{-1};

/// A failure if the child cannot be waited for.
int waitFor(pid_t child) {
  int status = W_EXITCODE(1, 0);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// Calls only what a signal handler may call. Does not return if there is a copy.
void handOver() {
  if (owner.exchange(0) != getpid()) return;
  const char byte = 1;
  if (write(wake_copy.load(), &byte, 1) != 1) return;
  const int status = waitFor(copy_of_owner.load());
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void onCrash(int signal) {
  handOver();
  std::signal(signal, SIG_DFL);
  raise(signal);
}

} // namespace

CrashFallback::CrashFallback() {
  static const bool at_exit = std::atexit(handOver) == 0;
  int ends[2];
  if (!at_exit || pipe2(ends, O_CLOEXEC) != 0) return;
  // The copy must not answer a signal that is meant for this process, for example ctrl-C.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  copy = fork();
  if (copy == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[1]);
    char byte;
    ssize_t count;
    while ((count = read(ends[0], &byte, 1)) < 0 && errno == EINTR) {
    }
    if (count != 1) _exit(0);
    is_copy = true;
  }
  close(ends[0]);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (is_copy) return;
  wake = ends[1];
  if (copy > 0) watch();
}

void CrashFallback::watch() {
  copy_of_owner = copy;
  wake_copy = wake;
  owner = getpid();
  stack = std::make_unique<std::byte[]>(kStackBytes);
  stack_t own = {};
  own.ss_sp = stack.get();
  own.ss_size = kStackBytes;
  sigaltstack(&own, &previous_stack);
  struct sigaction action = {};
  action.sa_handler = onCrash;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (int i = 0; i < kSignals; ++i) sigaction(kCrashes[i], &action, &previous[i]);
}

CrashFallback::~CrashFallback() {
  if (wake >= 0) close(wake);
  if (copy <= 0) return;
  owner = 0;
  for (int i = 0; i < kSignals; ++i) sigaction(kCrashes[i], &previous[i], nullptr);
  sigaltstack(&previous_stack, nullptr);
  kill(copy, SIGKILL);
  waitFor(copy); // it holds this process's locks until it has ended
}

} // namespace linnet::lab
