#include "server/serve.h"
#include "server/api.h"
#include "support/error.h"

#include <ctime>

namespace linnet::server {

/// The interval at which signals are checked.
constexpr double kSignalSeconds = 0.05;
/// The longest time that clients have to receive the last answers.
constexpr double kFlushSeconds = 5;

Result<void> serve(const Model &model, const ServeOptions &options, Result<chat::Template> chat,
                   const std::function<void(uint16_t port, bool loopback)> &ready,
                   const std::function<bool()> &stopping) {
  ApiKeys keys;
  if (!options.key_file.empty()) {
    LINNET_ASSIGN(keys, ApiKeys::read(options.key_file));
  }
  if (options.max_batch > model.config().max_batch)
    return errorf(
        "--max-batch: expected at most {}, for which the artifact was compiled (linnet compile --max-batch), "
        "found {}",
        model.config().max_batch, options.max_batch);

  Served served{.model = model,
                .name = options.name,
                .created = static_cast<int64_t>(std::time(nullptr)),
                .format = {},
                .no_format = {},
                .pooling = options.pooling};
  Result<chat::Format> format =
      chat ? chat::Format::make(model, std::move(*chat)) : Result<chat::Format>(chat.error());
  if (format)
    served.format = std::move(*format);
  else
    served.no_format = format.error().message;

  // The engine's thread may deliver until the engine is destroyed, and connections refer to the API. This order of
  // declarations destroys the engine first, then the connections.
  std::unique_ptr<Api> api;
  LINNET_ASSIGN(auto http, HttpServer::listen(
                               options.http,
                               [&api](HttpRequest request, std::shared_ptr<Exchange> exchange) {
                                 api->handle(std::move(request), std::move(exchange));
                               },
                               [](int status, std::string_view message) {
                                 return errorText({.status = status, .message = std::string(message)});
                               },
                               [&api](const HttpRequest &head) -> std::optional<HttpResponse> {
                                 const auto refused = api->refusal(head);
                                 if (!refused) return {};
                                 HttpResponse response{.status = refused->status,
                                                       .body = errorText(*refused)};
                                 if (refused->status == 401)
                                   response.headers.emplace_back("WWW-Authenticate", "Bearer");
                                 return response;
                               }));
  LINNET_ASSIGN(auto engine, Engine::start(model, {.rows = options.max_batch, .max_queue = options.max_queue},
                                           [&http, &api](Delivery delivery) {
                                             auto shared = std::make_shared<Delivery>(std::move(delivery));
                                             http->post([&api, shared] { api->deliver(std::move(*shared)); });
                                           }));
  served.max_texts = engine->capacity();
  api =
      std::make_unique<Api>(std::move(served),
                            ApiOptions{.timeout_seconds = options.timeout_seconds,
                                       .metrics = options.metrics,
                                       .loopback = http->isLoopback()},
                            std::move(keys), *engine,
                            ApiHost{.counts = [&http] { return http->counts(); },
                                    .post = [&http](auto work) { http->post(std::move(work)); },
                                    .background = [&http](auto work) { http->background(std::move(work)); }});
  bool draining = false;
  http->every(kSignalSeconds, [&] {
    if (!draining && stopping()) {
      draining = true;
      api->drain();
      http->drain();
    }
    if (draining && api->idle()) http->shutdown(kFlushSeconds);
  });
  ready(http->port(), http->isLoopback());
  http->run();
  return {};
}

} // namespace linnet::server
