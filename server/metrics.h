// The server's counts, in the text format of Prometheus. All functions belong to the server's thread.
#pragma once
#include "server/engine.h"
#include "server/http.h"

#include <array>
#include <map>
#include <string>
#include <utility>

namespace linnet::server {

/// The number of values up to each bound.
class Histogram {
public:
  void add(double seconds);
  /// Lines of the text format, without HELP and TYPE.
  std::string text(const std::string &name) const;

private:
  /// Upper bounds in seconds, two per factor of ten or more: from a token of a small model to a long prompt.
  static constexpr std::array kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25,
                                         0.5,    1.0,   2.5,    5.0,   10.0, 25.0,  50.0, 100.0};
  std::array<uint64_t, kBounds.size() + 1> counts = {};
  double sum = 0;
};

struct Metrics {
  std::map<std::pair<std::string, int>, uint64_t> requests; ///< keys are endpoint and status
  uint64_t cancelled = 0; ///< requests of clients that left before the answer
  Histogram first_token, between_tokens, request_seconds;
  EngineState engine;

  std::string text(const HttpCounts &http) const;
};

} // namespace linnet::server
