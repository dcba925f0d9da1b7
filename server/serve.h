// linnet serve: connects the HTTP server, the API and the engine.
#pragma once
#include "chat/template.h"
#include "linnet/session.h"
#include "server/http.h"

#include <functional>
#include <optional>
#include <string>

namespace linnet::server {

struct ServeOptions {
  HttpOptions http;
  std::string name;             ///< the model's name for clients
  std::string key_file;         ///< empty if clients need no key
  int64_t max_batch = 0;        ///< most texts at once; 0: as many as the artifact allows
  int64_t max_queue = 64;       ///< most texts in the queue
  double timeout_seconds = 600; ///< from a request to the end of its answer
  bool metrics = false;
  Pooling pooling = Pooling::Last; ///< the pooling of /v1/embeddings
};

/// Serves until `stopping` returns true, then answers running requests and returns. Once clients can connect, `ready`
/// receives the port, and whether only programs on this machine can connect. `chat` is the template of
/// /v1/chat/completions, or the reason why there is none.
Result<void> serve(const Model &model, const ServeOptions &options, Result<chat::Template> chat,
                   const std::function<void(uint16_t port, bool loopback)> &ready,
                   const std::function<bool()> &stopping);

} // namespace linnet::server
