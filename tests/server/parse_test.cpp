// Requests that arrive in pieces, and requests that are malformed.
#include "server/request_parser.h"
#include "tests/catch.h"

#include <random>

using namespace linnet::server;
using State = RequestParser::State;

namespace {

constexpr size_t kMaxHeader = 1024, kMaxBody = 100;

struct Outcome {
  State state;
  int status; ///< of a fault; 0: none
  HttpRequest request;
  std::string rest;
};

/// Feeds the bytes in pieces of `size`.
Outcome feed(const std::string &bytes, size_t size) {
  RequestParser parser(kMaxHeader, kMaxBody);
  std::string input;
  for (size_t at = 0; at < bytes.size(); at += size) {
    input += bytes.substr(at, size);
    if (parser.state() == State::done) continue;
    if (auto fault = parser.feed(input)) return {parser.state(), fault->status, {}, ""};
  }
  Outcome out{parser.state(), 0, {}, input};
  if (out.state == State::done) out.request = parser.take();
  return out;
}

} // namespace

TEST_CASE("a request may arrive in pieces of any size") {
  const std::string next = "GET /next HTTP/1.1\r\n";
  const std::string plain =
      "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Name:  v w \r\n\r\nhello" + next;
  const std::string chunked =
      "POST /a/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n"
      "0\r\nTrailer: z\r\n\r\n" +
      next;
  for (const std::string &text : {plain, chunked})
    for (size_t size = 1; size <= text.size(); ++size) {
      CAPTURE(text, size);
      const Outcome out = feed(text, size);
      REQUIRE(out.state == State::done);
      CHECK(out.request.method == "POST");
      CHECK(out.request.path() == "/a/b");
      CHECK(out.request.body == "hello");
      CHECK(out.request.keep_alive);
      CHECK(out.rest == next);
    }
  const HttpRequest request = feed(plain, plain.size()).request;
  REQUIRE(request.header("x-name"));
  CHECK(*request.header("x-name") == "v w");
  CHECK(!request.header("x-other"));
}

TEST_CASE("chunk extensions and trailers are bounded, and trailers are no headers") {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (size_t size : {1, 100, 4096}) {
    CHECK(feed(head + "1;" + std::string(3 * kMaxHeader, 'a'), size).status == 431);
    CHECK(feed(head + "0\r\nA: " + std::string(3 * kMaxHeader, 'a'), size).status == 431);
    const Outcome out = feed(head + "2\r\nhe\r\n0\r\nAuthorization: Bearer k\r\n\r\n", size);
    REQUIRE(out.state == State::done);
    CHECK(out.request.body == "he");
    CHECK(!out.request.header("authorization"));
  }
}

TEST_CASE("a target may name the host") {
  CHECK(feed("GET http://x/health?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 7).request.path() == "/health");
  CHECK(feed("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", 7).request.path() == "/");
}

TEST_CASE("connections are kept as the version and the client ask") {
  auto keeps = [](const std::string &text) { return feed(text, text.size()).request.keep_alive; };
  CHECK(keeps("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(!keeps("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  CHECK(!keeps("GET / HTTP/1.0\r\n\r\n"));
  CHECK(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  CHECK(!feed("GET / HTTP/1.0\r\n\r\n", 100).request.chunks);
}

TEST_CASE("requests that are malformed or too large have a status") {
  const std::vector<std::pair<std::string, int>> cases = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(kMaxHeader, 'a') + "\r\n\r\n", 431},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'a'), 413},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n", 417}};
  for (const auto &[text, status] : cases) {
    CAPTURE(text);
    for (const size_t size : {size_t(1), size_t(7), text.size()}) CHECK(feed(text, size).status == status);
  }
}

TEST_CASE("a client that waits for 100 Continue is noticed once") {
  RequestParser parser(kMaxHeader, kMaxBody);
  std::string input = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
  CHECK(!parser.feed(input));
  CHECK(parser.awaitsContinue());
  CHECK(!parser.awaitsContinue());
  input = "a";
  CHECK(!parser.feed(input));
  CHECK(parser.state() == State::done);
}

TEST_CASE("changed bytes never do more than give a fault") {
  const std::string text =
      "POST /v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  std::mt19937 draw(1);
  constexpr int kTries = 20000;
  int faults = 0;
  for (int i = 0; i < kTries; ++i) {
    std::string changed = text;
    for (int j = 0; j < 3; ++j) changed[draw() % changed.size()] = static_cast<char>(draw());
    const Outcome out = feed(changed, 1 + draw() % changed.size());
    faults += out.status != 0;
    if (out.status) CHECK((out.status >= 400 && out.status < 600));
  }
  CHECK(faults > kTries / 2);
}
