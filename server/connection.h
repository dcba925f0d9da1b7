// One client's connection; for http.cpp.
#pragma once
#include "server/http.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <unordered_set>

namespace linnet::server {

class Connection;

/// Data that connections share. All members belong to the server's thread.
struct ConnectionContext {
  HttpOptions options;
  HttpServer::Handler handler;
  HttpServer::ErrorBody error_body;
  HttpServer::HeaderCheck check;
  std::unordered_set<Connection *> connections;
  HttpCounts counts;
  bool draining = false;
  std::function<void()> on_close;                  ///< called after a connection was closed
  std::array<char, size_t(64) << 10> scratch = {}; ///< idle connections have no buffers
};

/// Reads requests and writes answers in order. A read is outstanding while an answer is computed, so that a client that
/// leaves is noticed.
class Connection : public std::enable_shared_from_this<Connection> {
public:
  Connection(boost::asio::ip::tcp::socket socket, ConnectionContext &context);
  ~Connection();
  void start();
  /// Closes now if the connection is idle. ConnectionContext::draining closes the others after their answers.
  void drain();
  /// Closes now.
  void abort();

private:
  class Answer;
  friend class Answer;
  enum class Phase : uint8_t { idle, request, answer, linger };

  void watch();
  void onReadable();
  void parse();
  bool parseOne();
  void refuse(int status, const std::string &message);
  void refuse(const HttpResponse &response);
  void dispatch();
  void finished();
  void leave(bool slow);
  bool isTooSlow(size_t more);
  void allowTime(double seconds);
  void send(std::string_view bytes);
  void flush();
  void onWritten(size_t bytes);
  void closeGracefully();
  void setTimer(double seconds);
  void onTimer();

  boost::asio::ip::tcp::socket socket;
  boost::asio::steady_timer timer;
  ConnectionContext &context;
  std::unique_ptr<RequestParser> parser; ///< set while a request arrives
  std::shared_ptr<Answer> current;       ///< set while an answer is computed
  std::string input;                     ///< bytes that were not parsed yet
  std::string output, writing;           ///< bytes to write, and those that are being written
  size_t written = 0;                    ///< number of written bytes of `writing`
  size_t lingered = 0;                   ///< bytes that were discarded after the last answer
  Phase phase = Phase::idle;
  bool watching = false, parsing = false, closing = false, closed = false, body_timer = false;
  /// the time since which too many bytes wait for the reader
  std::optional<std::chrono::steady_clock::time_point> full_since;
  /// time by which the client must have read an answer that is sent at once
  std::chrono::steady_clock::time_point written_by;
  uint64_t timer_number = 0;
};

} // namespace linnet::server
