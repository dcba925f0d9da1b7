#include "signals.h"
#include "linnet/session.h"
#include "support/file.h"
#include "support/scratch_directory.h"

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace linnet::cli {
namespace {

constexpr int kMaxCleanups = 4;
std::atomic<void (*)()> cleanups[kMaxCleanups];
std::atomic<Session *> armed;
std::atomic<bool> noting; // signals only set `asked`
std::atomic<int> asked;   // the received signal

void onSignal(int signal) {
  Session *session = armed.load();
  if ((session || noting.load()) && asked.exchange(signal) == 0) {
    if (session) session->cancel();
    return;
  }
  for (auto &cleanup : cleanups)
    if (auto function = cleanup.load()) function();
  _exit(128 + signal);
}

void reserve(int fd, int flags) {
  if (fcntl(fd, F_GETFD) >= 0) return;
  int opened = open("/dev/null", flags);
  if (opened >= 0 && opened != fd) {
    dup2(opened, fd);
    close(opened);
  }
}

} // namespace

void installSignals() {
  reserve(STDIN_FILENO, O_WRONLY); // reading from it fails, as on a closed descriptor
  reserve(STDOUT_FILENO, O_RDONLY);
  reserve(STDERR_FILENO, O_RDONLY);
  addCleanup(removeUnfinishedFiles);
  addCleanup(removeUnfinishedDirectories);
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (int signal : {SIGPIPE, SIGXFSZ}) sigaction(signal, &action, nullptr);
}

void addCleanup(void (*cleanup)()) {
  for (auto &slot : cleanups) {
    void (*none)() = nullptr;
    if (slot.compare_exchange_strong(none, cleanup)) return;
  }
}

int interrupted() {
  int signal = asked.load();
  return signal ? 128 + signal : 0;
}

bool answerInterrupt() {
  int expected = SIGINT;
  return asked.compare_exchange_strong(expected, 0);
}

void answerSignal() { asked.store(0); }

CancelOnSignal::CancelOnSignal(Session &session) { armed.store(&session); }
CancelOnSignal::~CancelOnSignal() { armed.store(nullptr); }

NoteSignals::NoteSignals() { noting.store(true); }
NoteSignals::~NoteSignals() { noting.store(false); }

BlockSignals::BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, &before);
}
BlockSignals::~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }

} // namespace linnet::cli
