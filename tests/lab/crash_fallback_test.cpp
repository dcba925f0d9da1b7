#include "lab/child_process.h"
#include "lab/crash_fallback.h"

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <tests/catch.h>
#include <unistd.h>

using namespace linnet::lab;

namespace {

constexpr int kCopyRan = 7;

/// Runs `work` under a CrashFallback in a child process and returns the child's exit code.
template <class Work> int exitCodeOf(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    CrashFallback fallback;
    if (fallback.crashed()) _exit(kCopyRan);
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int overflowStack(int64_t depth) {
  volatile char frame[4096] = {};
  return depth == 0 ? frame[0] : overflowStack(depth - 1) + frame[0];
}

} // namespace

TEST_CASE("after a crash the copy goes on, and its exit code is the process's", "[lab]") {
  CHECK(exitCodeOf([] {}) == 0);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
    CAPTURE(signal);
    CHECK(exitCodeOf([&] { raise(signal); }) == kCopyRan);
  }
  CHECK(exitCodeOf([] { std::abort(); }) == kCopyRan);
  CHECK(exitCodeOf([] { std::exit(3); }) == kCopyRan);
  CHECK(exitCodeOf([] { overflowStack(int64_t(1) << 40); }) == kCopyRan);
}

TEST_CASE("the copy sees values as they were before the crash", "[lab]") {
  SharedMemory<int> seen;
  REQUIRE(seen.get());
  int value = 1;
  const pid_t child = fork();
  if (child == 0) {
    CrashFallback fallback;
    if (!fallback.crashed()) {
      value = 2;
      std::abort();
    }
    *seen.get() = value;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(*seen.get() == 1);
}

TEST_CASE("a fallback that is not needed leaves no process, descriptor or handler", "[lab]") {
  const int next = open("/dev/null", O_RDONLY);
  close(next);
  struct sigaction before = {}, after = {};
  sigaction(SIGSEGV, nullptr, &before);
  for (int i = 0; i < 3; ++i) {
    CrashFallback fallback;
    CHECK_FALSE(fallback.crashed());
  }
  sigaction(SIGSEGV, nullptr, &after);
  CHECK(after.sa_handler == before.sa_handler);
  const int again = open("/dev/null", O_RDONLY);
  close(again);
  CHECK(again == next);
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
}
