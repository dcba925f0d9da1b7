// Ctrl-C. The first asks what is running to stop in order (a Session, if one is armed); the next, or the
// first where nothing can be asked, removes unfinished files and leaves with 128 + the signal's number.
#pragma once
#include <csignal>

namespace linnet {
class Session;

namespace cli {
/// Handlers for SIGINT, SIGTERM and SIGHUP; SIGPIPE and SIGXFSZ become write errors; closed standard streams
/// are replaced so that no file that is opened later takes their place.
void installSignals();
/// Async-signal-safe, called before leaving; the compiler library's list of unfinished files is added with
/// it.
void addCleanup(void (*cleanup)());
/// 128 + the number of the signal that asked to stop, or 0.
int interrupted();
/// If that signal was ctrl-C, forgets it: true, and the program goes on.
bool answerInterrupt();

/// While it lives, a signal cancels the session.
class CancelOnSignal {
public:
  explicit CancelOnSignal(Session &session);
  ~CancelOnSignal();
};
/// While it lives, a signal is noted for interrupted() to tell, and what runs looks at that now and then.
class NoteSignals {
public:
  NoteSignals();
  ~NoteSignals();
};
/// While it lives, signals that would end the program wait (in this thread).
class BlockSignals {
public:
  BlockSignals();
  ~BlockSignals();

private:
  sigset_t before;
};
} // namespace cli
} // namespace linnet
