// config.json.
#include "frontend/checkpoint/config.h"
#include "support/json.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  auto config = linnet::Gpt2Config::parse(text, "f");
  if (!config) return 0;
  // What was accepted is written in a form that says the same.
  auto json = config->toJson();
  auto again = linnet::Gpt2Config::parse(json.dump(), "again");
  if (!again || again->toJson() != json) abort();
  return 0;
}
