#include "server/api.h"
#include "server/active_request.h"
#include "server/page.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::server {

struct Api::Route {
  std::string path;
  std::string method;                        ///< GET and HEAD share a route
  void (Api::*answer)(Call &call) = nullptr; ///< answers GET
  Reader reader = nullptr;                   ///< reads the body of POST
  bool open = false;                         ///< whether the route needs no key
};

const std::vector<Api::Route> &Api::routes() {
  static const std::vector<Route> all = {{"/", "GET", &Api::page, nullptr, true},
                                         {"/health", "GET", &Api::health, nullptr, true},
                                         {"/metrics", "GET", &Api::metricsText},
                                         {"/v1/models", "GET", &Api::models},
                                         {"/v1/completions", "POST", nullptr, &Api::completions},
                                         {"/v1/chat/completions", "POST", nullptr, &Api::chat},
                                         {"/v1/embeddings", "POST", nullptr, &Api::embeddings},
                                         {"/v1/classify", "POST", nullptr, &Api::classify},
                                         {"/tokenize", "POST", nullptr, &Api::tokenize},
                                         {"/detokenize", "POST", nullptr, &Api::detokenize}};
  return all;
}

Api::Api(Served s, ApiOptions o, ApiKeys k, Engine &e, ApiHost h)
    : served(std::make_shared<const Served>(std::move(s))), options(o), keys(std::move(k)), engine(e),
      host(std::move(h)) {
  metrics.engine.counts.rows = engine.rows();
}

Api::~Api() = default;

void Api::answer(Call &call, HttpResponse response) {
  ++metrics.requests[{call.endpoint, response.status}];
  call.exchange->respond(std::move(response));
}

void Api::fail(Call &call, const ApiError &error) {
  HttpResponse response{.status = error.status, .body = errorText(error)};
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (error.status == 429) {
    // An estimate of the seconds until a row is free.
    const double seconds = usual_seconds * static_cast<double>(metrics.engine.waiting + 1) /
                           static_cast<double>(std::max<int64_t>(metrics.engine.counts.rows, 1));
    constexpr double kLongest = 60;
    response.headers.emplace_back(
        "Retry-After", std::to_string(static_cast<int>(std::ceil(std::clamp(seconds, 1.0, kLongest)))));
  }
  if (error.status == 503) response.headers.emplace_back("Retry-After", "1");
  answer(call, std::move(response));
}

/// Runs `work` and answers with the error that it throws.
template <class Work> void Api::guarded(Call &call, Work work) {
  try {
    work();
  } catch (const ApiError &error) {
    fail(call, error);
  } catch (const std::exception &error) {
    fail(call, {.status = 500, .message = std::string("internal error: ") + error.what()});
  }
}

void Api::handle(HttpRequest request, std::shared_ptr<Exchange> exchange) {
  auto call = std::make_shared<Call>(Call{std::move(request), std::move(exchange), Clock::now()});
  guarded(*call, [&] { dispatch(call); });
}

/// Encoding a long prompt takes long, so another thread does it: the server's thread goes on with other clients.
void Api::read(const std::shared_ptr<Call> &call, Reader reader) {
  constexpr size_t kSmall = size_t(32) << 10;
  if (call->request.body.size() <= kSmall) return (this->*reader)(call->request)(*call);
  ++preparing;
  call->exchange->on_gone = [weak = std::weak_ptr(call)] {
    if (auto gone = weak.lock()) gone->gone = true;
  };
  host.background([this, call, reader] {
    Then then;
    ApiError error;
    try {
      then = (this->*reader)(call->request);
    } catch (const ApiError &found) {
      error = found;
    } catch (const std::exception &found) {
      error = {.status = 500, .message = std::string("internal error: ") + found.what()};
    }
    host.post([this, call, then, error] {
      --preparing;
      if (call->gone) {
        ++metrics.cancelled;
        return;
      }
      guarded(*call, [&] {
        if (!then) throw error;
        then(*call);
      });
    });
  });
}

/// "%2F" in a path is a slash in a name.
static std::string percentDecoded(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | ' ') >= 'a' && (c | ' ') <= 'f' ? (c | ' ') - 'a' + 10 : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool code =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    out += code ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    i += code ? 2 : 0;
  }
  return out;
}

void Api::dispatch(const std::shared_ptr<Call> &shared) {
  Call &call = *shared;
  const HttpRequest &request = call.request;
  const std::string path = percentDecoded(request.path());
  const std::string models_prefix = "/v1/models/";
  const Route *route = nullptr;
  for (const Route &one : routes())
    if (one.path == path || (one.path == "/v1/models" && path.starts_with(models_prefix))) route = &one;
  if (route && route->path == "/metrics" && !options.metrics) route = nullptr;
  if (route) call.endpoint = route->path;
  if (const auto refused = refusal(request)) throw *refused;
  if (!route) {
    const char *hint = path == "/metrics" ? " (the server was started without --metrics)" : "";
    throw ApiError{
        .status = 404, .message = fmt::format("no such path: {}{}", path, hint), .code = "not_found"};
  }
  const std::string allowed = route->method == "GET" ? "GET, HEAD, OPTIONS" : route->method + ", OPTIONS";
  if (request.method == "OPTIONS") return answer(call, {.status = 204, .headers = {{"Allow", allowed}}});
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  if (method != route->method)
    return answer(call, {.status = 405,
                         .body = errorText({.status = 405,
                                            .message = fmt::format("{}: expected {}, found {}", path, allowed,
                                                                   request.method),
                                            .code = "method_not_allowed"}),
                         .headers = {{"Allow", allowed}}});
  if (draining && method == "POST")
    throw ApiError{
        .status = 503, .message = "the server is ending: no new requests", .code = "shutting_down"};
  if (path.starts_with(models_prefix) && path.substr(models_prefix.size()) != served->name)
    throw ApiError{.status = 404,
                   .message = fmt::format("expected the model \"{}\", found \"{}\"", served->name,
                                          path.substr(models_prefix.size())),
                   .code = "model_not_found"};
  if (route->answer) return (this->*route->answer)(call);
  read(shared, route->reader);
}

/// Whether a media type is JSON's. Case does not matter.
static bool isJson(std::string_view type) {
  constexpr std::string_view kJson = "application/json";
  std::string name(type.substr(0, type.find_first_of("; \t")));
  for (char &c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name == kJson;
}

/// Whether a name of a host, with or without a port, is this machine's loopback.
static bool isLoopback(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.find(':'));
  return host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.");
}

std::optional<ApiError> Api::refusal(const HttpRequest &request) const {
  const std::string path = percentDecoded(request.path());
  const auto route = std::ranges::find(routes(), path, &Route::path);
  if (keys.required() && !(route != routes().end() && route->open) &&
      !keys.accept(request.header("authorization")))
    return ApiError{
        .status = 401,
        .message =
            "expected 'Authorization: Bearer KEY' with a key of this server, found another key or none",
        .code = "invalid_api_key"};
  // Without keys, a page of another origin must not use a server that its visitor runs.
  const std::string *host = request.header("host"), *origin = request.header("origin");
  if (keys.required()) return {};
  if (options.loopback && host && !isLoopback(*host))
    return ApiError{.status = 403,
                    .message = "expected a Host of this machine, found '" + host->substr(0, 80) + "'",
                    .code = "wrong_host"};
  if (origin && host && *origin != "http://" + *host && *origin != "https://" + *host)
    return ApiError{.status = 403,
                    .message = "expected a request of this server's own page, found one of '" +
                               origin->substr(0, 80) + "'",
                    .code = "wrong_origin"};
  return {};
}

Json Api::body(const HttpRequest &request) const {
  const std::string *type = request.header("content-type");
  if (type && !isJson(*type))
    throw ApiError{.status = 415,
                   .message =
                       "expected 'Content-Type: application/json', found '" + type->substr(0, 80) + "'",
                   .code = "unsupported_media_type"};
  // Objects search their keys linearly, and a request needs few keys.
  constexpr int kMaxDepth = 16;
  constexpr size_t kMaxKeys = 2048;
  auto json = parseJson(request.body, "the request's body", kMaxDepth, kMaxKeys);
  if (!json) throw ApiError{.message = json.error().message, .code = "malformed_json"};
  return std::move(*json);
}

void Api::requireTokenizer() const {
  if (!served->model.tokenizer())
    throw ApiError{.message = "the model has no tokenizer: it reads and writes token ids",
                   .code = "no_tokenizer"};
}

void Api::page(Call &call) {
  answer(call,
         {.type = "text/html; charset=utf-8",
          .body = std::string(kPage),
          .headers = {{"Content-Security-Policy", kPagePolicy}, {"X-Content-Type-Options", "nosniff"}}});
}

void Api::health(Call &call) {
  if (draining)
    answer(call, {.status = 503, .body = "{\"status\":\"ending\"}"});
  else
    answer(call, {.body = "{\"status\":\"ok\"}"});
}

void Api::metricsText(Call &call) {
  answer(call, {.type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics.text(host.counts())});
}

void Api::models(Call &call) {
  const ModelConfig &config = served->model.config();
  const Json one = {{"id", served->name},
                    {"object", "model"},
                    {"created", served->created},
                    {"owned_by", "linnet"},
                    {"max_model_len", config.context},
                    {"chat", served->format.has_value()},
                    {"labels", config.labels}};
  const bool all = percentDecoded(call.request.path()) == "/v1/models";
  answer(call, {.body = dumped(all ? Json{{"object", "list"}, {"data", Json::array({one})}} : one)});
}

Api::Then Api::tokenize(const HttpRequest &request) {
  requireTokenizer();
  const Json json = body(request);
  Fields fields(json);
  checkModel(fields, *served);
  const auto prompt = fields.text("prompt");
  if (!prompt) throw wrong("prompt", "a text", "nothing");
  EncodeOptions encode;
  encode.add_special_tokens = fields.boolean("add_special_tokens").value_or(true);
  fields.finish();
  auto encoding = served->model.tokenizer()->encode(*prompt, encode);
  if (!encoding) throw ApiError{.message = "prompt: " + encoding.error().message, .param = "prompt"};
  std::string text = dumped({{"count", encoding->ids.size()},
                             {"max_model_len", served->model.config().context},
                             {"tokens", encoding->ids}});
  return [this, text = std::move(text)](Call &call) { answer(call, {.body = text}); };
}

Api::Then Api::detokenize(const HttpRequest &request) {
  requireTokenizer();
  const Json json = body(request);
  Fields fields(json);
  checkModel(fields, *served);
  const Json *tokens = fields.find("tokens");
  fields.finish();
  if (!tokens || !tokens->is_array())
    throw wrong("tokens", "a list of token ids", tokens ? *tokens : Json(nullptr));
  std::vector<TokenId> ids;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const Json &id = (*tokens)[i];
    if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId))
      throw wrong(fmt::format("tokens[{}]", i), "a token id", id);
    ids.push_back(id.get<TokenId>());
  }
  auto text = served->model.tokenizer()->decode(ids);
  if (!text) throw ApiError{.message = "tokens: " + text.error().message, .param = "tokens"};
  return [this, json = dumped({{"prompt", *text}})](Call &call) { answer(call, {.body = json}); };
}

Api::Then Api::completions(const HttpRequest &request) {
  const Json json = body(request);
  return [this, read = readCompletion(json, *served)](Call &call) { generate(call, read); };
}

Api::Then Api::chat(const HttpRequest &request) {
  const Json json = body(request);
  return [this, read = readChat(json, *served)](Call &call) { generate(call, read); };
}

} // namespace linnet::server
