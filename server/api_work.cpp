// The part of Api that waits for the engine.
#include "server/active_request.h"
#include "server/api.h"
#include "server/base64.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace linnet::server {

Clock::time_point Api::deadline() const {
  return Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(options.timeout_seconds * 1e3));
}

void Api::generate(Call &call, const GenerationRequest &request) {
  if (served->model.config().classifies())
    throw ApiError{.message = "the model is a classifier: it answers /v1/classify and /v1/embeddings",
                   .code = "wrong_model"};
  Generation generation{.texts = request.texts(), .deadline = deadline()};
  auto work = std::make_shared<Active>();
  work->answer.emplace(served, request);
  work->last.resize(generation.texts.size());
  start(call, engine.generate(std::move(generation)), std::move(work));
}

void Api::runTask(Call &call, Task task, std::function<std::string()> body) {
  auto work = std::make_shared<Active>();
  work->task_body = std::move(body);
  start(call, engine.run(std::move(task)), std::move(work));
}

void Api::start(Call &call, std::optional<uint64_t> number, std::shared_ptr<Active> work) {
  if (!number)
    throw ApiError{
        .status = 429,
        .message = fmt::format("the queue is full: {} texts wait or run; try again later", engine.capacity()),
        .code = "queue_full"};
  work->exchange = call.exchange;
  work->endpoint = call.endpoint;
  work->begin = call.begin;
  call.exchange->on_gone = [this, number = *number] {
    engine.cancel(number);
    ++metrics.cancelled;
    active.erase(number);
  };
  active.emplace(*number, std::move(work));
}

void Api::deliver(Delivery delivery) {
  metrics.engine = delivery.state;
  for (const EngineEvent &event : delivery.events) {
    try {
      takeEvent(event.request, event, delivery.time);
    } catch (const std::exception &error) { // out of memory: this request ends, others go on
      engine.cancel(event.request);
      const auto found = active.find(event.request);
      if (found == active.end()) continue;
      const auto work = found->second;
      if (work->streaming)
        work->exchange->end();
      else
        work->exchange->respond(
            {.status = 500,
             .body = errorText({.status = 500, .message = std::string("internal error: ") + error.what()})});
      finish(event.request, *work, 500);
    }
  }
}

void Api::takeEvent(uint64_t number, const EngineEvent &event, Clock::time_point time) {
  const auto found = active.find(number);
  if (found == active.end()) return; // the client is gone, or another text of the request has failed
  const std::shared_ptr<Active> work = found->second;
  if (event.failure == Failure::none) {
    if (!event.task_done) return takeText(*work, event, time);
    work->exchange->respond({.body = work->task_body()});
    return finish(number, *work, 200);
  }
  engine.cancel(number); // the other texts of the request
  ApiError error{.status = 500, .message = event.error, .code = "generation_failed"};
  if (event.failure == Failure::rejected) error.status = 400, error.code = "invalid_value";
  if (event.failure == Failure::timeout)
    error = {.status = 504,
             .message =
                 fmt::format("the answer was not complete after {:g} seconds", options.timeout_seconds),
             .code = "timeout"};
  if (work->streaming) {
    work->exchange->write("data: " + errorText(error) + "\n\ndata: [DONE]\n\n");
    work->exchange->end();
  } else {
    work->exchange->respond({.status = error.status, .body = errorText(error)});
  }
  finish(number, *work, error.status);
}

void Api::takeText(Active &work, const EngineEvent &event, Clock::time_point time) {
  if (event.event.id >= 0) {
    Clock::time_point &last = work.last[event.text];
    const bool first = last == Clock::time_point();
    const std::chrono::duration<double> seconds = time - (first ? work.begin : last);
    (first ? metrics.first_token : metrics.between_tokens).add(seconds.count());
    last = time;
  }
  const std::string events = work.answer->take(event);
  const bool complete = work.answer->complete();
  if (!work.answer->streams()) {
    if (!complete) return;
    work.exchange->respond({.body = work.answer->body()});
    return finish(event.request, work, 200);
  }
  if (!events.empty() && !work.streaming) {
    work.streaming = true;
    work.exchange->begin("text/event-stream");
  }
  work.exchange->write(complete ? events + work.answer->end() : events);
  if (!complete || !active.contains(event.request)) return; // the client may have read too slowly
  work.exchange->end();
  finish(event.request, work, 200);
}

void Api::finish(uint64_t number, Active &work, int status) {
  constexpr double kKept = 0.9; // the weight of the previous average when a request ends
  const std::chrono::duration<double> seconds = Clock::now() - work.begin;
  metrics.request_seconds.add(seconds.count());
  usual_seconds = kKept * usual_seconds + (1 - kKept) * seconds.count();
  ++metrics.requests[{work.endpoint, status}];
  active.erase(number);
}

namespace {

/// Scales the vector to length 1, so that a dot product is the cosine. A vector of zeros stays unchanged.
void normalize(std::vector<float> &values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  if (sum <= 0) return;
  const double scale = 1 / std::sqrt(sum);
  for (float &value : values) value = static_cast<float>(value * scale);
}

Json usageOf(const std::vector<std::vector<TokenId>> &texts) {
  size_t tokens = 0;
  for (const auto &text : texts) tokens += text.size();
  return {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
}

} // namespace

Api::Then Api::embeddings(const HttpRequest &request) {
  const Json json = body(request);
  Fields fields(json);
  checkModel(fields, *served);
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64")
    throw wrong("encoding_format", "\"float\" or \"base64\"", Json(format));
  fields.unsupported("dimensions", {served->model.config().n_embd});
  fields.ignore("user");
  auto texts = std::make_shared<const std::vector<std::vector<TokenId>>>(
      readTexts(fields, "input", *served, served->model.config().context));
  fields.finish();
  return [this, texts, format](Call &call) { embed(call, texts, format); };
}

void Api::embed(Call &call, const Texts &texts, const std::string &format) {
  auto vectors = std::make_shared<std::vector<std::vector<float>>>(texts->size());
  Task task{.pieces = texts->size(), .piece = {}, .deadline = deadline()};
  task.piece = [texts, vectors, pooling = served->pooling](Session &session, size_t i) -> Result<void> {
    LINNET_ASSIGN(Matrix matrix, session.embed((*texts)[i], pooling));
    normalize(matrix.values);
    (*vectors)[i] = std::move(matrix.values);
    return {};
  };
  runTask(call, std::move(task), [texts, vectors, format, served = served] {
    Json data = Json::array();
    for (size_t i = 0; i < vectors->size(); ++i) {
      const std::vector<float> &values = (*vectors)[i];
      data.push_back(
          {{"object", "embedding"},
           {"index", i},
           {"embedding", format == "float" ? Json(values) : Json(base64(std::as_bytes(std::span(values))))}});
    }
    return dumped(
        {{"object", "list"}, {"data", std::move(data)}, {"model", served->name}, {"usage", usageOf(*texts)}});
  });
}

Api::Then Api::classify(const HttpRequest &request) {
  const ModelConfig &config = served->model.config();
  if (!config.classifies())
    throw ApiError{.message = "the model is a language model: it answers /v1/completions and /v1/embeddings",
                   .code = "wrong_model"};
  const Json json = body(request);
  Fields fields(json);
  checkModel(fields, *served);
  fields.ignore("user");
  auto texts = std::make_shared<const std::vector<std::vector<TokenId>>>(
      readTexts(fields, "input", *served, config.context));
  fields.finish();
  return [this, texts](Call &call) { label(call, texts); };
}

void Api::label(Call &call, const Texts &texts) {
  const ModelConfig &config = served->model.config();
  auto answers = std::make_shared<std::vector<Classification>>();
  const auto at_once = static_cast<size_t>(config.max_batch);
  Task task{.pieces = (texts->size() + at_once - 1) / at_once, .piece = {}, .deadline = deadline()};
  task.piece = [texts, answers, at_once](Session &session, size_t piece) -> Result<void> {
    const auto rest = std::span(*texts).subspan(piece * at_once);
    LINNET_ASSIGN(auto some, session.classify(rest.first(std::min(rest.size(), at_once))));
    std::ranges::move(some, std::back_inserter(*answers));
    return {};
  };
  runTask(call, std::move(task), [texts, answers, served = served] {
    const ModelConfig &config = served->model.config();
    const bool chooses = config.problem_type == ProblemType::SingleLabel && config.labels.size() > 1;
    Json data = Json::array();
    for (size_t i = 0; i < answers->size(); ++i) {
      const Classification &answer = (*answers)[i];
      Json one = {{"index", i}};
      one["label"] = chooses ? Json(config.labels[answer.label]) : Json(nullptr);
      one["probs"] =
          config.problem_type == ProblemType::Regression ? Json(nullptr) : Json(answer.probabilities);
      one["scores"] = answer.scores;
      one["num_classes"] = config.labels.size();
      data.push_back(std::move(one));
    }
    return dumped({{"object", "list"},
                   {"created", static_cast<int64_t>(std::time(nullptr))},
                   {"model", served->name},
                   {"labels", config.labels},
                   {"data", std::move(data)},
                   {"usage", usageOf(*texts)}});
  });
}

} // namespace linnet::server
