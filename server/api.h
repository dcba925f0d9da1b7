// The API: routes requests, and answers them with what the engine delivers. Everything runs on the server's thread.
#pragma once
#include "server/api_keys.h"
#include "server/engine.h"
#include "server/generation_answer.h"
#include "server/http.h"
#include "server/metrics.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace linnet::server {

struct ApiOptions {
  double timeout_seconds = 600; ///< from a request to the end of its answer
  bool metrics = false;         ///< whether /metrics exists
  bool loopback = false;        ///< the server listens on loopback only
};

class Api {
public:
  Api(Served served, ApiOptions options, ApiKeys keys, Engine &engine,
      std::function<HttpCounts()> http_counts);
  ~Api();

  void handle(HttpRequest request, std::shared_ptr<Exchange> exchange);
  /// Why a request is refused whatever its body is: its key, its host, its origin. Nothing if it is not.
  std::optional<ApiError> refusal(const HttpRequest &request) const;
  void deliver(Delivery delivery);
  /// New requests get 503 from now on.
  void drain() { draining = true; }
  /// Whether no request waits for the engine.
  bool idle() const { return active.empty(); }

private:
  struct Call;   // a request and its answer
  struct Active; // a request that the engine works on
  struct Route;
  static const std::vector<Route> &routes();

  void dispatch(Call &call);
  void answer(Call &call, HttpResponse response);
  void fail(Call &call, const ApiError &error);
  Json body(const Call &call) const;
  void requireTokenizer() const;

  void page(Call &call);
  void health(Call &call);
  void metricsText(Call &call);
  void models(Call &call);
  void tokenize(Call &call);
  void detokenize(Call &call);
  void completions(Call &call);
  void chat(Call &call);
  void embeddings(Call &call);
  void classify(Call &call);

  void generate(Call &call, const GenerationRequest &request);
  void runTask(Call &call, Task task, std::function<std::string()> body);
  void start(Call &call, std::optional<uint64_t> number, std::shared_ptr<Active> work);
  Clock::time_point deadline() const;
  void takeEvent(uint64_t number, const EngineEvent &event, Clock::time_point time);
  void takeText(Active &work, const EngineEvent &event, Clock::time_point time);
  void finish(uint64_t number, Active &work, int status);

  std::shared_ptr<const Served> served;
  ApiOptions options;
  ApiKeys keys;
  Engine &engine;
  std::function<HttpCounts()> http_counts;
  Metrics metrics;
  std::unordered_map<uint64_t, std::shared_ptr<Active>> active; // by the engine's number
  double usual_seconds = 1;                                     // of a request, for Retry-After
  bool draining = false;
};

} // namespace linnet::server
