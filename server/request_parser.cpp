// The only file that includes Boost.Beast, which takes seconds to compile.
#include "server/request_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <cctype>

namespace linnet::server {

namespace http = boost::beast::http;

struct RequestParser::Parts {
  http::request_parser<http::string_body> parser;
  size_t max_header, max_body;
  bool begun = false, awaits_continue = false;
};

const std::string *HttpRequest::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? nullptr : &found->second;
}

RequestParser::RequestParser(size_t max_header, size_t max_body) : parts(std::make_unique<Parts>()) {
  parts->max_header = max_header;
  parts->max_body = max_body;
  parts->parser.header_limit(static_cast<uint32_t>(max_header));
  parts->parser.body_limit(max_body);
}
RequestParser::RequestParser(RequestParser &&) noexcept = default;
RequestParser &RequestParser::operator=(RequestParser &&) noexcept = default;
RequestParser::~RequestParser() = default;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char &c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

RequestParser::Fault faultOf(boost::system::error_code error, size_t max_header, size_t max_body) {
  if (error == http::error::header_limit)
    return {431, "expected at most " + std::to_string(max_header) + " bytes of headers, found more"};
  if (error == http::error::body_limit)
    return {413, "expected a body of at most " + std::to_string(max_body) + " bytes, found a longer one"};
  if (error == http::error::bad_version) return {505, "expected HTTP/1.0 or HTTP/1.1, found another version"};
  return {400, "malformed HTTP request: " + error.message()};
}

/// Two lengths of one body let a proxy and the server disagree about where the next request begins.
template <class Message> std::optional<RequestParser::Fault> faultOfHeader(const Message &message) {
  using Fault = RequestParser::Fault;
  const auto lengths = message.count(http::field::content_length),
             codings = message.count(http::field::transfer_encoding);
  if (lengths > 1 || codings > 1 || (lengths && codings))
    return Fault{400, "expected one Content-Length or one Transfer-Encoding, found several of them"};
  if (codings && lower(std::string(message[http::field::transfer_encoding])) != "chunked")
    return Fault{501, "expected Transfer-Encoding: chunked, found another encoding"};
  if (message.count(http::field::expect) &&
      lower(std::string(message[http::field::expect])) != "100-continue")
    return Fault{417, "expected 'Expect: 100-continue', found another expectation"};
  if (message.version() == 11 && message.count(http::field::host) != 1)
    return Fault{400, "expected one Host header, found " + std::to_string(message.count(http::field::host))};
  return {};
}

} // namespace

std::optional<RequestParser::Fault> RequestParser::feed(std::string &input) {
  auto &parser = parts->parser;
  if (!parts->begun) {
    // Clients may send an empty line after a body.
    const size_t begin = std::min(input.find_first_not_of("\r\n"), input.size());
    input.erase(0, begin);
    parts->begun = !input.empty();
  }
  size_t used = 0;
  std::optional<Fault> fault;
  while (used < input.size() && !parser.is_done()) {
    const bool header_before = parser.is_header_done();
    boost::system::error_code error;
    const size_t read = parser.put(boost::asio::buffer(input.data() + used, input.size() - used), error);
    used += read;
    if (error && error != http::error::need_more) {
      fault = faultOf(error, parts->max_header, parts->max_body);
      break;
    }
    if (!header_before && parser.is_header_done()) {
      if ((fault = faultOfHeader(parser.get()))) break;
      parts->awaits_continue = parser.get().count(http::field::expect) && parser.get().version() == 11;
    }
    if (error == http::error::need_more || (read == 0 && header_before)) break;
  }
  input.erase(0, used);
  return fault;
}

RequestParser::State RequestParser::state() const {
  if (parts->parser.is_done()) return State::done;
  return parts->parser.is_header_done() ? State::body : State::header;
}

bool RequestParser::awaitsContinue() {
  return state() == State::body && std::exchange(parts->awaits_continue, false);
}

HttpRequest RequestParser::take() {
  auto message = parts->parser.release();
  HttpRequest out;
  out.method = std::string(message.method_string());
  out.target = std::string(message.target());
  for (const auto &field : message)
    out.headers.emplace_back(lower(std::string(field.name_string())), std::string(field.value()));
  out.body = std::move(message.body());
  out.keep_alive = message.keep_alive();
  out.chunks = message.version() == 11;
  return out;
}

} // namespace linnet::server
