// chat_render: reads lines of JSON, {"template": TEXT, "variables": {...}}, and prints a line of JSON for each:
// {"text": TEXT} or {"error": MESSAGE}. The time of strftime_now is 2024-07-26 12:34:56.
// compare_chat_templates.py drives it.
#include "chat/template.h"
#include "support/json.h"

#include <iostream>

using namespace linnet;

static Json rendered(const Json &line, const std::tm &now) {
  auto chat = chat::Template::parse(line["template"].get<std::string>(), "template");
  if (!chat) return {{"error", chat.error().message}};
  auto text = chat->render(line["variables"], now);
  if (!text) return {{"error", text.error().message}};
  return {{"text", *text}};
}

int main() {
  std::tm now = {};
  strptime("2024-07-26 12:34:56", "%Y-%m-%d %H:%M:%S", &now);
  for (std::string line; std::getline(std::cin, line);) {
    auto json = parseJson(line, "line");
    if (!json) return std::cerr << json.error().message << '\n', 1;
    std::cout << rendered(*json, now).dump() << '\n';
  }
}
