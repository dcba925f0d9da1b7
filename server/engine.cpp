#include "server/engine.h"

#include <algorithm>

namespace linnet::server {

/// How often counts are delivered while there are no events.
constexpr std::chrono::milliseconds kStatePeriod(100);

Engine::Engine(const Model &m, const EngineOptions &o, Sink s)
    : model(m), options(o), sink(std::move(s)),
      batch_rows(options.rows ? options.rows : model.config().max_batch) {
  max_texts = batch_rows + options.max_queue;
}

Result<std::unique_ptr<Engine>> Engine::start(const Model &model, const EngineOptions &options, Sink sink) {
  auto engine = std::unique_ptr<Engine>(new Engine(model, options, std::move(sink)));
  LINNET_TRY(engine->openBatch());
  engine->thread = std::thread([engine = engine.get()] { engine->loop(); });
  return engine;
}

Engine::~Engine() {
  {
    std::scoped_lock lock(mutex);
    stopping = true;
  }
  wake.notify_one();
  if (thread.joinable()) thread.join();
}

Result<void> Engine::openBatch() {
  if (batch || model.config().classifies()) return {};
  LINNET_ASSIGN(batch, Batch::open(model, {.rows = batch_rows}));
  return {};
}

std::optional<uint64_t> Engine::generate(Generation generation) {
  std::scoped_lock lock(mutex);
  const auto count = static_cast<int64_t>(generation.texts.size());
  if (unfinished + count > max_texts) return {};
  unfinished += count;
  const uint64_t request = ++last_request;
  for (size_t i = 0; i < generation.texts.size(); ++i)
    arrived_texts.push_back({request, i, generation.deadline, std::move(generation.texts[i])});
  wake.notify_one();
  return request;
}

std::optional<uint64_t> Engine::run(Task task) {
  std::scoped_lock lock(mutex);
  if (unfinished + 1 > max_texts) return {};
  ++unfinished;
  const uint64_t request = ++last_request;
  arrived_tasks.push_back({request, 0, std::move(task)});
  wake.notify_one();
  return request;
}

void Engine::cancel(uint64_t request) {
  std::scoped_lock lock(mutex);
  cancelled.push_back(request);
  wake.notify_one();
}

bool Engine::idle() const { return queue.empty() && tasks.empty() && running.empty(); }

void Engine::loop() {
  while (true) {
    {
      if (idle()) deliver(true); // the last counts
      std::unique_lock lock(mutex);
      if (idle()) {
        wake.wait(lock, [this] {
          return stopping || !arrived_texts.empty() || !arrived_tasks.empty() || !cancelled.empty();
        });
      }
      if (stopping) return;
      std::ranges::move(arrived_texts, std::back_inserter(queue));
      std::ranges::move(arrived_tasks, std::back_inserter(tasks));
      arrived_texts.clear();
      arrived_tasks.clear();
      // takes cancellations together with requests, so that a request never comes after its cancellation
      gone.swap(cancelled);
    }
    try {
      takeCancelled();
      expire();
      fillRows();
      runTask();
      runStep();
    } catch (const std::exception &error) { // out of memory
      recover(error.what());
    }
    deliver(false);
  }
}

/// Ends requests of clients that are gone.
void Engine::takeCancelled() {
  if (gone.empty()) return;
  auto isGone = [&](uint64_t request) { return std::ranges::find(gone, request) != gone.end(); };
  ended += static_cast<int64_t>(std::erase_if(queue, [&](const Text &text) { return isGone(text.request); }));
  ended += static_cast<int64_t>(
      std::erase_if(tasks, [&](const RunningTask &task) { return isGone(task.request); }));
  for (auto at = running.begin(); at != running.end();) {
    if (isGone(at->second.request)) {
      batch->remove(at->first);
      ++ended;
      at = running.erase(at);
    } else {
      ++at;
    }
  }
  gone.clear();
}

void Engine::finish(const Text &text, Failure failure, const std::string &error) {
  ++ended;
  events.push_back(
      {.request = text.request, .text = text.index, .event = {}, .failure = failure, .error = error});
}

/// Ends requests that have passed their deadline.
void Engine::expire() {
  const auto now = Clock::now();
  const std::string none;
  for (const Text &text : queue)
    if (text.deadline <= now) finish(text, Failure::timeout, none);
  std::erase_if(queue, [&](const Text &text) { return text.deadline <= now; });
  for (auto at = running.begin(); at != running.end();) {
    if (at->second.deadline <= now) {
      batch->remove(at->first);
      finish(at->second, Failure::timeout, none);
      at = running.erase(at);
    } else {
      ++at;
    }
  }
  for (const RunningTask &task : tasks)
    if (task.task.deadline <= now) {
      ++ended;
      events.push_back(
          {.request = task.request, .event = {}, .task_done = true, .failure = Failure::timeout});
    }
  std::erase_if(tasks, [&](const RunningTask &task) { return task.task.deadline <= now; });
}

void Engine::fillRows() {
  if (queue.empty()) return;
  if (auto opened = openBatch(); !opened) {
    for (const Text &text : queue) finish(text, Failure::failed, opened.error().message);
    queue.clear();
    return;
  }
  while (!queue.empty() && batch->free() > 0) {
    Text text = std::move(queue.front());
    queue.pop_front();
    auto number = batch->add(std::move(text.work));
    if (!number) {
      finish(text, Failure::rejected, number.error().message);
      continue;
    }
    text.work = {};
    running.emplace(*number, std::move(text));
  }
}

/// Executes one piece of the oldest task.
void Engine::runTask() {
  if (tasks.empty()) return;
  RunningTask &task = tasks.front();
  Result<void> done;
  if (!session) {
    auto opened = Session::open(model);
    if (opened)
      session.emplace(std::move(*opened));
    else
      done = opened.error();
  }
  if (done) done = task.task.piece(*session, task.next);
  const bool failed = !done;
  if (failed) session.reset(); // a device that was lost needs a new session; opening one takes milliseconds
  if (!failed && ++task.next < task.task.pieces) return;
  EngineEvent event{.request = task.request, .event = {}, .task_done = true};
  if (failed) {
    event.failure = Failure::failed;
    event.error = done.error().message;
  }
  events.push_back(std::move(event));
  ++ended;
  tasks.pop_front();
}

void Engine::runStep() {
  if (running.empty()) return;
  auto happened = batch->step();
  if (!happened) return recover(happened.error().message);
  for (const BatchEvent &event : *happened) {
    const auto at = running.find(event.number);
    if (at == running.end()) continue;
    EngineEvent out{.request = at->second.request, .text = at->second.index, .event = event};
    if (event.error) {
      out.failure = Failure::failed;
      out.error = event.error->message;
    }
    events.push_back(std::move(out));
    if (!event.finished && !event.error) continue;
    ++ended;
    running.erase(at);
  }
}

/// Sums the counts of two batches. The cache is that of the second batch.
static BatchCounts sum(BatchCounts a, const BatchCounts &b) {
  a.rows = b.rows;
  a.running = b.running;
  a.steps += b.steps;
  a.prompt_tokens += b.prompt_tokens;
  a.shared_tokens += b.shared_tokens;
  a.generated_tokens += b.generated_tokens;
  a.cached_tokens = b.cached_tokens;
  a.evicted_tokens += b.evicted_tokens;
  return a;
}

/// After a failed step (a lost device): running texts end with the error. The next one opens a batch, which loads the
/// program on the device again.
void Engine::recover(const std::string &error) {
  for (const auto &[number, text] : running) finish(text, Failure::failed, error);
  running.clear();
  if (batch) before = sum(before, batch->counts());
  batch.reset();
  session.reset();
  ++reopened;
}

void Engine::deliver(bool always) {
  if (ended) { // before the events are known: a client may send its next request at once
    std::scoped_lock lock(mutex);
    unfinished -= std::exchange(ended, 0);
  }
  const auto now = Clock::now();
  if (events.empty() && !always && now - delivered < kStatePeriod) return;
  delivered = now;
  BatchCounts none;
  none.rows = batch_rows;
  Delivery delivery;
  delivery.events.swap(events);
  delivery.state = {.counts = sum(before, batch ? batch->counts() : none),
                    .waiting = static_cast<int64_t>(queue.size() + tasks.size()),
                    .reopened = reopened};
  delivery.time = now;
  sink(std::move(delivery));
}

} // namespace linnet::server
