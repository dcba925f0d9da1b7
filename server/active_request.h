// Requests while Api answers them; for api.cpp and api_work.cpp.
#pragma once
#include "server/api.h"

namespace linnet::server {

struct Api::Call {
  HttpRequest request;
  std::shared_ptr<Exchange> exchange;
  Clock::time_point begin;
  std::string endpoint = "other"; ///< the path of a route, for metrics
  bool gone = false;              ///< the client left while its request was read
};

struct Api::Active {
  std::shared_ptr<Exchange> exchange;
  std::string endpoint;
  Clock::time_point begin;
  std::optional<GenerationAnswer> answer = {}; ///< the answer of a generation
  std::vector<Clock::time_point> last = {};    ///< time of the last token of each text
  std::function<std::string()> task_body = {}; ///< makes the body of a task's answer
  bool streaming = false;                      ///< the answer has begun
};

} // namespace linnet::server
