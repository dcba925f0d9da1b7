// Parses HTTP/1.1 requests from bytes that arrive in pieces.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::server {

struct HttpRequest {
  std::string method, target;
  std::vector<std::pair<std::string, std::string>> headers; ///< names in lower case
  std::string body;
  bool keep_alive = true; ///< the client may send another request on the connection
  bool chunks = true;     ///< HTTP/1.1: the answer may be chunked

  /// The target without its query, and without scheme and host if it has them.
  std::string_view path() const;
  /// The first header of this name, which is in lower case, or null.
  const std::string *header(std::string_view name) const;
};

/// Reads one request.
class RequestParser {
public:
  RequestParser(size_t max_header, size_t max_body);
  RequestParser(RequestParser &&) noexcept;
  RequestParser &operator=(RequestParser &&) noexcept;
  ~RequestParser();

  enum class State : uint8_t { header, body, done };
  struct Fault {
    int status;
    std::string message;
  };
  /// Removes the bytes that it has read from `input`. A malformed or too large request is a fault, after which the
  /// parser cannot be used.
  std::optional<Fault> feed(std::string &input);
  State state() const;
  /// The request without its body and without trailers. state() must not be header.
  const HttpRequest &head() const;
  /// Whether the client waits for "100 Continue" before it sends the body. Returns true only once, after the header.
  bool awaitsContinue();
  /// The request. state() must be done.
  HttpRequest take();

private:
  struct Parts;
  std::unique_ptr<Parts> parts;
};

} // namespace linnet::server
