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
  bool awaits_continue = false;
  HttpRequest head; ///< the request, without body and trailers
};

const std::string *HttpRequest::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? nullptr : &found->second;
}

std::string_view HttpRequest::path() const {
  std::string_view text = std::string_view(target).substr(0, target.find('?'));
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return text;
  const size_t slash = text.find('/', kScheme.size());
  return slash == std::string_view::npos ? "/" : text.substr(slash);
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

template <class Message> HttpRequest headOf(const Message &message) {
  HttpRequest out;
  out.method = std::string(message.method_string());
  out.target = std::string(message.target());
  for (const auto &field : message)
    out.headers.emplace_back(lower(std::string(field.name_string())), std::string(field.value()));
  out.chunks = message.version() == 11;
  return out;
}

} // namespace

std::optional<RequestParser::Fault> RequestParser::feed(std::string &input) {
  auto &parser = parts->parser;
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
      parts->head = headOf(parser.get());
      parts->awaits_continue = parser.get().count(http::field::expect) && parser.get().version() == 11;
    }
    if (error == http::error::need_more || (read == 0 && header_before)) break;
  }
  input.erase(0, used);
  // Beast waits for the end of a chunk's extension, and of the trailers, however long they are.
  if (!fault && parser.is_header_done() && !parser.is_done() && input.size() > parts->max_header)
    fault = Fault{431, "expected at most " + std::to_string(parts->max_header) +
                           " bytes of a chunk's extension or of trailers, found more"};
  return fault;
}

const HttpRequest &RequestParser::head() const { return parts->head; }

RequestParser::State RequestParser::state() const {
  if (parts->parser.is_done()) return State::done;
  return parts->parser.is_header_done() ? State::body : State::header;
}

bool RequestParser::awaitsContinue() {
  return state() == State::body && std::exchange(parts->awaits_continue, false);
}

HttpRequest RequestParser::take() {
  auto message = parts->parser.release();
  HttpRequest out = std::move(parts->head);
  out.body = std::move(message.body());
  out.keep_alive = message.keep_alive();
  return out;
}

} // namespace linnet::server
