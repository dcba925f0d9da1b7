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

/// The functions of the HTTP server that the API needs (see HttpServer).
struct ApiHost {
  std::function<HttpCounts()> counts;
  std::function<void(std::function<void()> work)> post, background;
};

class Api {
public:
  Api(Served served, ApiOptions options, ApiKeys keys, Engine &engine, ApiHost host);
  ~Api();

  void handle(HttpRequest request, std::shared_ptr<Exchange> exchange);
  /// The reason to refuse a request before its body is read: its key, its host or its origin. Nothing if it is
  /// accepted.
  std::optional<ApiError> refusal(const HttpRequest &request) const;
  void deliver(Delivery delivery);
  /// Makes the API answer new requests with 503.
  void drain() { draining = true; }
  /// Whether no request waits for the engine.
  bool idle() const { return active.empty() && preparing == 0; }

private:
  struct Call;   // a request and its answer
  struct Active; // a request that the engine works on
  struct Route;
  /// Continues a request that was read.
  using Then = std::function<void(Call &call)>;
  /// Reads a request. Large ones are read on another thread, so these functions use `served` alone.
  using Reader = Then (Api::*)(const HttpRequest &request);
  static const std::vector<Route> &routes();

  template <class Work> void guarded(Call &call, Work work);
  void dispatch(const std::shared_ptr<Call> &call);
  void read(const std::shared_ptr<Call> &call, Reader reader);
  void answer(Call &call, HttpResponse response);
  void fail(Call &call, const ApiError &error);
  Json body(const HttpRequest &request) const;
  void requireTokenizer() const;

  void page(Call &call);
  void health(Call &call);
  void metricsText(Call &call);
  void models(Call &call);
  Then tokenize(const HttpRequest &request);
  Then detokenize(const HttpRequest &request);
  Then completions(const HttpRequest &request);
  Then chat(const HttpRequest &request);
  Then embeddings(const HttpRequest &request);
  Then classify(const HttpRequest &request);

  void generate(Call &call, const GenerationRequest &request);
  using Texts = std::shared_ptr<const std::vector<std::vector<TokenId>>>;
  void embed(Call &call, const Texts &texts, const std::string &format);
  void label(Call &call, const Texts &texts);
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
  ApiHost host;
  Metrics metrics;
  std::unordered_map<uint64_t, std::shared_ptr<Active>> active; // keys are the engine's numbers of requests
  double usual_seconds = 1; // usual duration of a request, for Retry-After
  int64_t preparing = 0;    // requests that are read on the other thread
  bool draining = false;
};

} // namespace linnet::server
