// Signal handling. The first ctrl-C asks the running operation to stop (a Session, if one is registered). The
// next one, or the first if nothing is registered, removes unfinished files and exits with 128 + the signal's
// number.
#pragma once
#include <csignal>

namespace linnet {
class Session;

namespace cli {
/// Installs handlers for SIGINT, SIGTERM and SIGHUP. SIGPIPE and SIGXFSZ become write errors. Closed standard
/// streams are reopened, so that no later file gets their descriptors.
void installSignals();
/// Adds an async-signal-safe function that is called before the exit, such as the compiler library's removal
/// of unfinished files.
void addCleanup(void (*cleanup)());
/// 128 + the number of the signal that asked to stop, or 0.
int interrupted();
/// If that signal was ctrl-C, resets it and returns true; the program then continues.
bool answerInterrupt();

/// Resets any signal that asked to stop: the program has done so in order, and exits with 0.
void answerSignal();

/// During its lifetime, a signal cancels the session.
class CancelOnSignal {
public:
  explicit CancelOnSignal(Session &session);
  ~CancelOnSignal();
};
/// During its lifetime, a signal only sets interrupted(), which the running operation polls.
class NoteSignals {
public:
  NoteSignals();
  ~NoteSignals();
};
/// During its lifetime, signals that would end the program are blocked in this thread.
class BlockSignals {
public:
  BlockSignals();
  ~BlockSignals();

private:
  sigset_t before;
};
} // namespace cli
} // namespace linnet
