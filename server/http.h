// An HTTP/1.1 server: one thread, one event loop, any number of connections.
#pragma once
#include "server/request_parser.h"
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::server {

struct HttpOptions {
  std::string host = "127.0.0.1"; ///< an address or a name
  uint16_t port = 8080;           ///< 0 selects a free port
  size_t max_header = 16 << 10;   ///< bytes of the request line and the headers
  size_t max_body = 4 << 20;      ///< bytes of a request's body
  /// Bytes of a streamed answer that wait for their reader. A client that reads too slowly is disconnected.
  size_t max_buffered = 256 << 10;
  size_t max_connections = 4096;
  double idle_seconds = 75; ///< time without a request
  /// time to send a request's header, to send its body, and between two reads of an answer
  double client_seconds = 30;
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// The answer to one request: respond(), or begin(), write()s and end(). Used on the server's thread. Calls after the
/// client is gone do nothing.
class Exchange {
public:
  virtual ~Exchange() = default;
  virtual void respond(HttpResponse response) = 0;
  /// Begins an answer of unknown length.
  virtual void begin(std::string_view type) = 0;
  virtual void write(std::string_view bytes) = 0;
  virtual void end() = 0;
  /// The connection is closed after this answer.
  virtual void close() = 0;
  /// Called once if the answer can no longer be delivered: the client has closed its connection or its sending half,
  /// or it reads too slowly.
  std::function<void()> on_gone;
};

struct HttpCounts {
  int64_t open = 0;     ///< connections
  int64_t accepted = 0; ///< since the start
  int64_t gone = 0;     ///< clients that left before their answer was complete
  int64_t slow = 0;     ///< clients that were disconnected because they read too slowly
};

class HttpServer {
public:
  using Handler = std::function<void(HttpRequest request, std::shared_ptr<Exchange> exchange)>;
  /// Text of an error in the API's form, for requests that never reach the handler.
  using ErrorBody = std::function<std::string(int status, std::string_view message)>;

  /// Returns the answer to a request that is refused before its body is read, or std::nullopt to accept it.
  using HeaderCheck = std::function<std::optional<HttpResponse>(const HttpRequest &head)>;

  /// Binds and listens. Errors name the address.
  static Result<std::unique_ptr<HttpServer>> listen(const HttpOptions &options, Handler handler,
                                                    ErrorBody error_body, HeaderCheck check = {});
  ~HttpServer();
  uint16_t port() const;
  /// Whether only programs on this machine can connect.
  bool isLoopback() const;
  /// Serves until shutdown() has closed all connections.
  void run();
  /// Runs `work` on the server's thread. May be called from any thread.
  void post(std::function<void()> work);
  /// Runs `work` on another thread, one piece of work after another. May be called from any thread. Work that has not
  /// begun when the server is destroyed is dropped.
  void background(std::function<void()> work);
  /// Calls `work` repeatedly on the server's thread.
  void every(double seconds, std::function<void()> work);
  /// Closes idle connections now, and the others after their answers.
  void drain();
  /// Stops accepting connections. run() ends when the answers that wait for their readers are sent, or after `seconds`.
  void shutdown(double seconds);
  HttpCounts counts() const;

private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace linnet::server
