// The engine: one thread that owns a Batch, and a Session for embeddings and classification. Requests wait in a bounded
// queue and start in the order in which they came.
#pragma once
#include "linnet/batch.h"
#include "linnet/session.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace linnet::server {

using Clock = std::chrono::steady_clock;

struct EngineOptions {
  int64_t rows = 0;      ///< most texts at once; 0: as many as the artifact allows
  int64_t max_queue = 0; ///< most texts that wait
};

/// Why an event ends its text, or its task, without an answer.
enum class Failure : uint8_t {
  none,
  failed,   ///< the device or the model failed; `error` has the reason
  rejected, ///< the batch does not accept the text; `error` has the reason
  timeout,  ///< the deadline of its request has passed
};

/// A token or the end of one text of a request, or the end of its task.
struct EngineEvent {
  uint64_t request = 0;
  size_t text = 0;        ///< index in Generation::texts
  BatchEvent event;       ///< the event of a text
  bool task_done = false; ///< true if a task has ended
  Failure failure = Failure::none;
  std::string error = {};
};

struct EngineState {
  BatchCounts counts;   ///< sums over all batches since the start
  int64_t waiting = 0;  ///< texts and tasks in the queue
  int64_t reopened = 0; ///< times that a failed step made the engine open a batch again
};

struct Delivery {
  std::vector<EngineEvent> events;
  EngineState state;
  Clock::time_point time; ///< when the step ended
};

struct Generation {
  std::vector<BatchRequest> texts; ///< at least one
  Clock::time_point deadline;
};

/// Work on the session, in pieces between two steps of the batch.
struct Task {
  size_t pieces = 0;
  std::function<Result<void>(Session &session, size_t piece)> piece;
  Clock::time_point deadline;
};

class Engine {
public:
  /// Called on the engine's thread.
  using Sink = std::function<void(Delivery delivery)>;

  /// Errors: memory is insufficient.
  static Result<std::unique_ptr<Engine>> start(const Model &model, const EngineOptions &options, Sink sink);
  /// Ends the thread after its current step.
  ~Engine();

  /// Most texts that a request may have.
  int64_t capacity() const { return max_texts; }
  /// Puts a request at the end of the queue and returns its number, or std::nullopt if the queue is full. Thread-safe,
  /// as all functions below.
  std::optional<uint64_t> generate(Generation generation);
  std::optional<uint64_t> run(Task task);
  /// Ends a request without further events. Events that were delivered before may still arrive.
  void cancel(uint64_t request);
  int64_t rows() const { return batch_rows; }

private:
  struct Text {
    uint64_t request = 0;
    size_t index = 0;
    Clock::time_point deadline;
    BatchRequest work;
  };
  struct RunningTask {
    uint64_t request = 0;
    size_t next = 0;
    Task task;
  };

  Engine(const Model &model, const EngineOptions &options, Sink sink);
  Result<void> openBatch();
  void loop();
  void takeCancelled();
  void expire();
  void fillRows();
  void runTask();
  void runStep();
  void recover(const std::string &error);
  void deliver(bool always);
  void finish(const Text &text, Failure failure, const std::string &error);
  bool idle() const;

  Model model;
  EngineOptions options;
  Sink sink;
  int64_t max_texts = 0, batch_rows = 0;

  std::mutex mutex; // guards the members up to `wake`
  std::deque<Text> arrived_texts;
  std::deque<RunningTask> arrived_tasks;
  std::vector<uint64_t> cancelled;
  int64_t unfinished = 0; // texts and tasks that were accepted and have not ended
  bool stopping = false;
  std::condition_variable wake;
  std::atomic<uint64_t> last_request{0};

  // Members of the engine's thread.
  std::optional<Batch> batch;
  std::optional<Session> session;
  std::deque<Text> queue;
  std::deque<RunningTask> tasks;
  std::map<int64_t, Text> running; // keys are the batch's numbers of texts
  std::vector<EngineEvent> events;
  std::vector<uint64_t> gone; // cancelled requests
  BatchCounts before;         // counts of earlier batches
  int64_t reopened = 0, ended = 0;
  Clock::time_point delivered;

  std::thread thread;
};

} // namespace linnet::server
