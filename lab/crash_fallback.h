// A process that survives its own crash: a copy of it, made earlier, goes on instead.
#pragma once
#include <csignal>
#include <cstddef>
#include <memory>
#include <sys/types.h>

namespace linnet::lab {

/// The constructor copies this process (fork), and the copy waits. If the process then crashes or calls exit()
/// before the destructor runs, the copy returns from the constructor, and crashed() is true in it. The dying
/// process waits for the copy and ends with its exit code. So the caller sees crashed() turn true, with every
/// value as it was when the constructor ran.
/// Crashes are the signals that end a process with a core file, on the thread that called the constructor; a
/// stack overflow is one of them. The copy has no other thread. If no copy can be made, crashes end the process
/// as usual. One object at a time in a process; it is destroyed on the thread that made it.
class CrashFallback {
public:
  CrashFallback();
  ~CrashFallback();
  CrashFallback(const CrashFallback &) = delete;
  CrashFallback &operator=(const CrashFallback &) = delete;
  bool crashed() const { return is_copy; }

private:
  void watch();

  static constexpr int kSignals = 6;
  bool is_copy = false;
  pid_t copy = -1;
  int wake =
      -1; ///< the pipe to the copy: a byte wakes it, the end of the pipe ends it if this process was killed
  struct sigaction previous[kSignals] = {};
  std::unique_ptr<std::byte[]> stack; ///< of the signal handler: the thread's own may have overflowed
  stack_t previous_stack = {};
};

} // namespace linnet::lab
