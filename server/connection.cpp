#include "server/connection.h"
#include "server/status_text.h"

#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace linnet::server {

namespace asio = boost::asio;
using Code = boost::system::error_code;

/// The most bytes of later requests that are read while an answer is computed.
constexpr size_t kMaxPipelined = size_t(64) << 10;
/// After an answer to a request that was not read to its end, the client's bytes are discarded for a while. Closing at
/// once would reset the connection, and the client would lose the answer.
constexpr size_t kMaxLinger = size_t(16) << 20;
constexpr double kLingerSeconds = 2;
/// The time after which a reader of a stream is too slow if more than max_buffered bytes wait for it all the time. A
/// reader for which kMostBuffered times as many bytes wait is too slow at once. A fast reader may find that many bytes
/// after the server's thread was busy.
constexpr std::chrono::milliseconds kFullTime(500);
constexpr size_t kMostBuffered = 16;
/// The least speed in bytes per second at which a client must read an answer that is sent at once.
constexpr double kLeastSpeed = 16 << 10;

/// The answer to the current request. It may outlive its connection.
class Connection::Answer : public Exchange {
public:
  Answer(std::shared_ptr<Connection> connection, const HttpRequest &request)
      : connection(std::move(connection)), head(request.method == "HEAD"), chunks(request.chunks),
        keep_alive(request.keep_alive) {}

  void respond(HttpResponse response) override {
    if (!connection) return;
    if (response.status != 204)
      response.headers.emplace_back("Content-Length", std::to_string(response.body.size()));
    sendHeader(response.status, response.type, response.headers);
    if (!head) connection->send(response.body);
    connection->allowTime(static_cast<double>(response.body.size()) / kLeastSpeed);
    finish();
  }
  void begin(std::string_view type) override {
    if (!connection) return;
    std::vector<std::pair<std::string, std::string>> headers = {{"Cache-Control", "no-store"}};
    if (chunks)
      headers.emplace_back("Transfer-Encoding", "chunked");
    else
      keep_alive = false;
    sendHeader(200, type, headers);
  }
  void write(std::string_view bytes) override {
    if (!connection || bytes.empty() || head) return;
    if (connection->isTooSlow(bytes.size())) return connection->leave(true);
    if (chunks) connection->send(fmt::format("{:x}\r\n", bytes.size()));
    connection->send(bytes);
    if (chunks) connection->send("\r\n");
    connection->flush();
  }
  void end() override {
    if (!connection) return;
    if (chunks && !head) connection->send("0\r\n\r\n");
    finish();
  }
  void close() override { keep_alive = false; }

  std::shared_ptr<Connection> connection; ///< null after the end

private:
  void sendHeader(int status, std::string_view type,
                  const std::vector<std::pair<std::string, std::string>> &headers) {
    if (connection->context.draining || connection->closing) keep_alive = false;
    std::string text = fmt::format("HTTP/1.1 {} {}\r\nServer: linnet\r\n", status, statusText(status));
    if (status != 204) text += fmt::format("Content-Type: {}\r\n", type);
    for (const auto &[name, value] : headers) text += fmt::format("{}: {}\r\n", name, value);
    text += fmt::format("Connection: {}\r\n\r\n", keep_alive ? "keep-alive" : "close");
    connection->send(text);
  }
  void finish() {
    auto ended = std::exchange(connection, nullptr);
    on_gone = nullptr;
    if (!keep_alive) ended->closing = true;
    ended->finished();
  }

  bool head, chunks, keep_alive;
};

Connection::Connection(asio::ip::tcp::socket accepted, ConnectionContext &shared)
    : socket(std::move(accepted)), timer(socket.get_executor()), context(shared) {
  context.connections.insert(this);
  context.counts.open = static_cast<int64_t>(context.connections.size());
}

Connection::~Connection() { abort(); }

void Connection::start() {
  setTimer(context.options.idle_seconds);
  watch();
}

void Connection::drain() {
  if (phase == Phase::idle && output.empty() && writing.empty()) abort();
}

void Connection::abort() {
  if (closed) return;
  closed = true;
  const auto self = weak_from_this().lock();
  if (auto answer = std::exchange(current, nullptr)) {
    answer->connection.reset();
    answer->on_gone = nullptr;
  }
  Code ignored;
  socket.close(ignored);
  timer.cancel(ignored);
  context.connections.erase(this);
  context.counts.open = static_cast<int64_t>(context.connections.size());
  if (context.on_close) context.on_close();
}

void Connection::watch() {
  if (watching || closed) return;
  watching = true;
  socket.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](Code error) {
    self->watching = false;
    if (self->closed || error) return;
    try {
      self->onReadable();
    } catch (const std::exception &) { // out of memory: this client loses its connection, others do not
      self->leave(false);
    }
  });
}

void Connection::onReadable() {
  Code error;
  const size_t read = socket.read_some(asio::buffer(context.scratch), error);
  if (error == asio::error::would_block || error == asio::error::try_again) return watch();
  if (error) {
    if (current || phase == Phase::linger || error != asio::error::eof) return leave(false);
    // The client has sent all its requests. The answers that are ready are delivered.
    closing = true;
    if (output.empty() && writing.empty()) abort();
    return;
  }
  if (phase == Phase::linger) {
    lingered += read;
    return lingered > kMaxLinger ? abort() : watch();
  }
  if (closing && !current) return watch(); // bytes after the last request
  input.append(context.scratch.data(), read);
  if (current) {
    if (input.size() < kMaxPipelined) watch();
    return;
  }
  parse();
}

/// Reads requests until one waits for its answer or more bytes are needed.
void Connection::parse() {
  if (parsing || closed) return;
  parsing = true;
  const auto self = shared_from_this();
  while (!closed && !closing && !current && output.size() <= context.options.max_buffered && parseOne()) {
  }
  parsing = false;
  if (closed) return;
  flush();
  if (current) {
    if (input.size() < kMaxPipelined) watch();
  } else if (output.size() <= context.options.max_buffered) {
    watch();
  }
}

/// Returns whether a request was complete.
bool Connection::parseOne() {
  if (input.empty()) {
    if (input.capacity() > kMaxPipelined) input = {};
    return false;
  }
  if (!parser) {
    // Clients may send an empty line after a body.
    input.erase(0, std::min(input.find_first_not_of("\r\n"), input.size()));
    if (input.empty()) return false;
    parser = std::make_unique<RequestParser>(context.options.max_header, context.options.max_body);
    phase = Phase::request;
    body_timer = false;
    setTimer(context.options.client_seconds);
  }
  if (auto fault = parser->feed(input)) {
    refuse(fault->status, fault->message);
    return false;
  }
  if (parser->state() == RequestParser::State::body && !body_timer && context.check)
    if (auto response = context.check(parser->head())) {
      refuse(*response);
      return false;
    }
  if (parser->awaitsContinue()) send("HTTP/1.1 100 Continue\r\n\r\n");
  if (parser->state() == RequestParser::State::body && !body_timer) {
    body_timer = true;
    setTimer(context.options.client_seconds);
  }
  if (parser->state() != RequestParser::State::done) return false;
  dispatch();
  return true;
}

/// Answers a request that cannot be read to its end, and closes.
void Connection::refuse(int status, const std::string &message) {
  refuse({.status = status, .body = context.error_body(status, message)});
}

void Connection::refuse(const HttpResponse &response) {
  parser.reset();
  input.clear();
  closing = true;
  std::string headers;
  for (const auto &[name, value] : response.headers) headers += fmt::format("{}: {}\r\n", name, value);
  send(fmt::format(
      "HTTP/1.1 {} {}\r\nServer: linnet\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: "
      "close\r\n\r\n{}",
      response.status, statusText(response.status), response.type, response.body.size(), headers,
      response.body));
  phase = Phase::answer;
  setTimer(context.options.client_seconds);
  flush();
  watch();
}

void Connection::dispatch() {
  HttpRequest request = parser->take();
  parser.reset();
  phase = Phase::answer;
  setTimer(0);
  current = std::make_shared<Answer>(shared_from_this(), request);
  const std::shared_ptr<Answer> answer = current;
  context.handler(std::move(request), answer);
}

/// The current answer is complete.
void Connection::finished() {
  current.reset();
  if (closed) return;
  closing = closing || context.draining;
  if (!closing) {
    phase = Phase::idle;
    if (writing.empty()) setTimer(context.options.idle_seconds); // otherwise the timer is that of the reader
  }
  flush();
  if (!closing) parse();
}

/// Whether the reader of a stream is too slow, if `more` bytes are added to those that wait.
bool Connection::isTooSlow(size_t more) {
  const size_t waiting = output.size() + writing.size() - written + more, most = context.options.max_buffered;
  if (waiting <= most) {
    full_since.reset();
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!full_since) full_since = now;
  return waiting > kMostBuffered * most || now - *full_since > kFullTime;
}

/// Gives the client `seconds` plus client_seconds to read the bytes that wait for it.
void Connection::allowTime(double seconds) {
  const std::chrono::duration<double> allowed(seconds + context.options.client_seconds);
  written_by = std::chrono::steady_clock::now() +
               std::chrono::duration_cast<std::chrono::steady_clock::duration>(allowed);
}

/// The client is gone, or too slow.
void Connection::leave(bool slow) {
  const auto self = shared_from_this();
  if (slow) ++context.counts.slow;
  if (auto answer = std::exchange(current, nullptr)) {
    ++context.counts.gone;
    answer->connection.reset();
    if (auto gone = std::exchange(answer->on_gone, nullptr)) gone();
  }
  abort();
}

void Connection::send(std::string_view bytes) {
  if (!closed) output += bytes;
}

void Connection::flush() {
  if (closed || !writing.empty()) return;
  if (output.empty()) {
    if (closing && !current && phase != Phase::linger) closeGracefully();
    return;
  }
  writing.swap(output);
  onWritten(0);
}

void Connection::onWritten(size_t bytes) {
  written += bytes;
  if (written == writing.size()) {
    if (writing.capacity() > kMaxPipelined) writing = {}; // idle connections have no buffers
    writing.clear();
    written = 0;
    full_since.reset();
    written_by = {};
    if (current) setTimer(0);
    if (phase == Phase::idle) setTimer(context.options.idle_seconds);
    flush();
    if (!closing && !current) parse();
    return;
  }
  double seconds = context.options.client_seconds;
  if (written_by != std::chrono::steady_clock::time_point()) {
    const std::chrono::duration<double> left = written_by - std::chrono::steady_clock::now();
    seconds = std::clamp(left.count(), 1e-3, seconds);
  }
  setTimer(seconds);
  socket.async_write_some(asio::buffer(writing.data() + written, writing.size() - written),
                          [self = shared_from_this()](Code error, size_t count) {
                            if (self->closed) return;
                            if (error) return self->leave(false);
                            self->onWritten(count);
                          });
}

void Connection::closeGracefully() {
  Code ignored;
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  phase = Phase::linger;
  setTimer(kLingerSeconds);
  watch();
}

/// 0 stops the timer.
void Connection::setTimer(double seconds) {
  const uint64_t number = ++timer_number;
  if (closed) return;
  if (seconds <= 0) {
    Code ignored;
    timer.cancel(ignored);
    return;
  }
  timer.expires_after(std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
  timer.async_wait([self = shared_from_this(), number](Code error) {
    if (!error && !self->closed && number == self->timer_number) self->onTimer();
  });
}

void Connection::onTimer() {
  if (!writing.empty()) return leave(true);
  if (phase == Phase::request)
    return refuse(
        408, fmt::format("expected the whole request within {:g} seconds", context.options.client_seconds));
  abort();
}

} // namespace linnet::server
