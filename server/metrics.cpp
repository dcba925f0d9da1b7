#include "server/metrics.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::server {

void Histogram::add(double seconds) {
  const auto at = std::ranges::lower_bound(kBounds, seconds) - kBounds.begin();
  ++counts[static_cast<size_t>(at)];
  sum += seconds;
}

std::string Histogram::text(const std::string &name) const {
  std::string out;
  uint64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    below += counts[i];
    out += fmt::format("{}_bucket{{le=\"{:g}\"}} {}\n", name, kBounds[i], below);
  }
  below += counts.back();
  return out + fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, below, sum);
}

std::string Metrics::text(const HttpCounts &http) const {
  std::string out;
  auto head = [&](const char *name, const char *type, const char *help) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  };
  auto one = [&](const char *name, const char *type, const char *help, auto value) {
    head(name, type, help);
    out += fmt::format("{} {}\n", name, value);
  };
  auto histogram = [&](const char *name, const char *help, const Histogram &values) {
    head(name, "histogram", help);
    out += values.text(name);
  };
  head("linnet_requests_total", "counter", "Requests by endpoint and status.");
  for (const auto &[key, count] : requests)
    out += fmt::format("linnet_requests_total{{endpoint=\"{}\",status=\"{}\"}} {}\n", key.first, key.second,
                       count);
  one("linnet_requests_cancelled_total", "counter",
      "Requests whose clients left before the answer was complete.", cancelled);
  const BatchCounts &counts = engine.counts;
  const double rows = static_cast<double>(std::max<int64_t>(counts.rows, 1));
  one("linnet_queue_texts", "gauge", "Texts that wait for a row of the batch.", engine.waiting);
  one("linnet_running_texts", "gauge", "Texts in the batch.", counts.running);
  one("linnet_batch_rows", "gauge", "Rows of the batch.", counts.rows);
  one("linnet_batch_occupancy", "gauge", "Fraction of the rows that have a text.",
      static_cast<double>(counts.running) / rows);
  one("linnet_steps_total", "counter", "Steps of the batch.", counts.steps);
  one("linnet_prompt_tokens_total", "counter", "Tokens of prompts that were computed.", counts.prompt_tokens);
  one("linnet_prompt_tokens_cached_total", "counter", "Tokens of prompts that were in the cache.",
      counts.shared_tokens);
  one("linnet_generated_tokens_total", "counter", "Generated tokens.", counts.generated_tokens);
  one("linnet_cache_tokens", "gauge", "Tokens in the cache.", counts.cached_tokens);
  one("linnet_cache_evicted_tokens_total", "counter", "Tokens that were removed from the cache to make room.",
      counts.evicted_tokens);
  const int64_t prompts = counts.prompt_tokens + counts.shared_tokens;
  one("linnet_cache_hit_ratio", "gauge", "Fraction of prompt tokens that were in the cache.",
      prompts ? static_cast<double>(counts.shared_tokens) / static_cast<double>(prompts) : 0.0);
  histogram("linnet_time_to_first_token_seconds", "From the request to its first token.", first_token);
  histogram("linnet_time_between_tokens_seconds", "Between two tokens of a text.", between_tokens);
  histogram("linnet_request_seconds", "From the request to the end of its answer.", request_seconds);
  one("linnet_connections", "gauge", "Open connections.", http.open);
  one("linnet_connections_total", "counter", "Accepted connections.", http.accepted);
  one("linnet_slow_readers_total", "counter", "Clients that were disconnected because they read too slowly.",
      http.slow);
  one("linnet_model_reloads_total", "counter",
      "Times that the model was loaded again after its device failed.", engine.reopened);
  return out;
}

} // namespace linnet::server
