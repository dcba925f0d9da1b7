// The HTTP server alone, with answers that end late, never, or after their client.
#include "server/http.h"
#include "tests/catch.h"

#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace linnet;
using namespace linnet::server;

namespace {

/// A server on a thread. "/echo" answers with the body, "/stream" begins a stream, "/wait" answers nothing.
class Running {
public:
  explicit Running(HttpOptions options = {}) {
    options.port = 0;
    auto made = HttpServer::listen(
        options,
        [this](HttpRequest request, std::shared_ptr<Exchange> exchange) { handle(request, exchange); },
        [](int status, std::string_view message) { return std::to_string(status) + std::string(message); });
    REQUIRE(made);
    server = std::move(*made);
    thread = std::thread([this] { server->run(); });
  }
  ~Running() {
    server->post([this] { server->shutdown(0.2); });
    thread.join();
  }

  /// Runs `work` on the server's thread and waits for it.
  template <class Work> void on(Work work) {
    std::atomic<bool> done = false;
    server->post([&] {
      work();
      done = true;
    });
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  template <class Condition> bool until(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      bool holds = false;
      on([&] { holds = condition(); });
      if (holds) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::unique_ptr<HttpServer> server;
  std::vector<std::shared_ptr<Exchange>> kept;
  int gone = 0;

private:
  void handle(const HttpRequest &request, const std::shared_ptr<Exchange> &exchange) {
    if (request.path() == "/echo") return exchange->respond({.type = "text/plain", .body = request.body});
    exchange->on_gone = [this] { ++gone; };
    kept.push_back(exchange);
    if (request.path() == "/stream") exchange->begin("text/plain");
  }
  std::thread thread;
};

class Client {
public:
  explicit Client(const Running &running, int receive_buffer = 0) : handle(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer) setsockopt(handle, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(running.server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(handle, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
  }
  ~Client() { leave(); }
  void send(const std::string &text) { REQUIRE(::send(handle, text.data(), text.size(), MSG_NOSIGNAL) > 0); }
  void get(const std::string &path) { send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); }
  /// Reads until `end` was received, or to the end of the connection.
  std::string read(const std::string &end = "\n never") {
    std::string text;
    char buffer[4096];
    while (text.find(end) == text.npos) {
      const ssize_t count = recv(handle, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }
  void leave() {
    if (handle >= 0) close(std::exchange(handle, -1));
  }

private:
  int handle;
};

} // namespace

TEST_CASE("answers, streams, and a stream whose client leaves") {
  Running running;
  Client first(running);
  first.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  CHECK(first.read("hi").starts_with("HTTP/1.1 200 OK\r\n"));
  first.get("/stream");
  REQUIRE(running.until([&] { return running.kept.size() == 1; }));
  running.on([&] {
    running.kept[0]->write("one");
    running.kept[0]->write("two");
    running.kept[0]->end();
    running.kept[0]->write("after the end");
    running.kept[0]->end();
  });
  CHECK(first.read("0\r\n\r\n").ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  first.get("/stream");
  REQUIRE(running.until([&] { return running.kept.size() == 2; }));
  first.leave();
  CHECK(running.until([&] { return running.gone == 1; }));
  running.on([&] {
    running.kept[1]->write("to nobody");
    running.kept[1]->end();
  });
  CHECK(running.until([&] { return running.server->counts().open == 0; }));
}

TEST_CASE("a reader that is too slow is disconnected") {
  Running running({.max_buffered = 10000});
  Client slow(running, 2048);
  slow.get("/stream");
  REQUIRE(running.until([&] { return running.kept.size() == 1; }));
  const std::string piece(1000, 'a');
  CHECK(running.until([&] {
    for (int i = 0; i < 5; ++i) running.kept[0]->write(piece);
    return running.gone == 1;
  }));
  running.on([&] { CHECK(running.server->counts().slow == 1); });
}

TEST_CASE("answers that the handler keeps may outlive the server") {
  std::vector<std::shared_ptr<Exchange>> kept;
  {
    Running running;
    Client client(running);
    client.get("/wait");
    REQUIRE(running.until([&] { return running.kept.size() == 1; }));
    kept = running.kept;
  }
  kept[0]->respond({.body = "late"});
}

TEST_CASE("draining closes idle connections, and the others after their answers") {
  Running running;
  Client idle(running), busy(running);
  busy.get("/wait");
  REQUIRE(running.until([&] { return running.kept.size() == 1 && running.server->counts().open == 2; }));
  running.on([&] { running.server->drain(); });
  CHECK(idle.read() == "");
  running.on([&] { running.kept[0]->respond({.type = "text/plain", .body = "the answer"}); });
  const std::string answer = busy.read();
  CHECK(answer.ends_with("the answer"));
  CHECK(answer.find("Connection: close\r\n") != answer.npos);
}

TEST_CASE("clients that do not finish their request are timed out") {
  Running running({.idle_seconds = 0.2, .client_seconds = 0.1});
  Client idle(running), slow(running);
  slow.send("GET / HTT");
  CHECK(slow.read().starts_with("HTTP/1.1 408 "));
  CHECK(idle.read() == "");
}

TEST_CASE("an address that cannot be listened on is an error") {
  Running running;
  HttpOptions options;
  options.port = running.server->port();
  auto again = HttpServer::listen(options, {}, {});
  REQUIRE(!again);
  CHECK(again.error().message.find("Address already in use") != std::string::npos);
  options.host = "no.such.host.invalid";
  CHECK(!HttpServer::listen(options, {}, {}));
}
