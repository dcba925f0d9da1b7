#include "server/http.h"
#include "server/connection.h"
#include "support/error.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <sys/resource.h>

namespace linnet::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using Code = boost::system::error_code;

/// The kernel's send buffer of a client, in bytes. It bounds the memory that slow readers cost.
constexpr int kSendBuffer = 128 << 10;
/// the pause after accepting failed because the process has too many descriptors
constexpr std::chrono::milliseconds kAcceptPause(100);

struct HttpServer::State {
  explicit State(const HttpOptions &options) : acceptor(io), pause(io), limit(io) {
    context.options = options;
  }
  ~State() {
    pool.stop();
    pool.join();
    // Closing a connection may release the last reference to an answer, which refers to the context.
    for (Connection *connection : std::vector(context.connections.begin(), context.connections.end()))
      connection->abort();
  }

  void accept();
  void repeat(asio::steady_timer &timer, std::chrono::microseconds period, const std::function<void()> &work);

  ConnectionContext context;
  asio::io_context io{1};
  tcp::acceptor acceptor;
  asio::steady_timer pause, limit;
  std::vector<std::unique_ptr<asio::steady_timer>> timers;
  bool ending = false;
  asio::thread_pool pool{1};
};

/// Raises the limit of descriptors as far as the system allows: each connection needs one.
static void raiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpOptions &options, Handler handler,
                                                       ErrorBody error_body, HeaderCheck check) {
  raiseDescriptorLimit();
  auto state = std::make_unique<State>(options);
  state->context.handler = std::move(handler);
  state->context.error_body = std::move(error_body);
  state->context.check = std::move(check);
  Code error;
  tcp::resolver resolver(state->io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty()) return errorf("--host {}: {}", options.host, error.message());
  const tcp::endpoint endpoint = found.begin()->endpoint();
  auto &acceptor = state->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return errorf("cannot listen on {} port {}: {}", options.host, options.port, error.message());
  acceptor.non_blocking(true, error);
  state->context.on_close = [state = state.get()] {
    if (state->ending && state->context.connections.empty()) state->io.stop();
  };
  state->accept();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> s) : state(std::move(s)) {}
HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const {
  Code ignored;
  return state->acceptor.local_endpoint(ignored).port();
}

bool HttpServer::isLoopback() const {
  Code error;
  const tcp::endpoint endpoint = state->acceptor.local_endpoint(error);
  return !error && endpoint.address().is_loopback();
}

void HttpServer::State::accept() {
  acceptor.async_accept([this](Code error, tcp::socket socket) {
    if (!acceptor.is_open()) return;
    if (error) {
      pause.expires_after(kAcceptPause);
      pause.async_wait([this](Code cancelled) {
        if (!cancelled) accept();
      });
      return;
    }
    ++context.counts.accepted;
    Code ignored;
    socket.non_blocking(true, ignored);
    if (context.connections.size() >= context.options.max_connections) {
      constexpr std::string_view kFull = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: "
                                         "0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
      socket.write_some(asio::buffer(kFull), ignored);
    } else {
      socket.set_option(tcp::no_delay(true), ignored);
      socket.set_option(asio::socket_base::keep_alive(true), ignored); // notices clients that vanish
      socket.set_option(asio::socket_base::send_buffer_size(kSendBuffer), ignored);
      std::make_shared<Connection>(std::move(socket), context)->start();
    }
    accept();
  });
}

void HttpServer::run() { state->io.run(); }

void HttpServer::post(std::function<void()> work) { asio::post(state->io, std::move(work)); }

void HttpServer::background(std::function<void()> work) { asio::post(state->pool, std::move(work)); }

void HttpServer::State::repeat(asio::steady_timer &timer, std::chrono::microseconds period,
                               const std::function<void()> &work) {
  timer.expires_after(period);
  timer.async_wait([this, &timer, period, work](Code error) {
    if (error) return;
    work();
    repeat(timer, period, work);
  });
}

void HttpServer::every(double seconds, std::function<void()> work) {
  state->timers.push_back(std::make_unique<asio::steady_timer>(state->io));
  state->repeat(*state->timers.back(), std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)), work);
}

void HttpServer::drain() {
  state->context.draining = true;
  auto &all = state->context.connections;
  for (Connection *connection : std::vector(all.begin(), all.end())) connection->drain();
}

void HttpServer::shutdown(double seconds) {
  if (state->ending) return;
  state->ending = true;
  Code ignored;
  state->acceptor.close(ignored);
  state->pause.cancel(ignored);
  drain();
  if (state->context.connections.empty()) return state->io.stop();
  state->limit.expires_after(std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
  state->limit.async_wait([this](Code error) {
    if (!error) state->io.stop();
  });
}

HttpCounts HttpServer::counts() const { return state->context.counts; }

} // namespace linnet::server
