// config.json.
#include "frontend/model/description.h"
#include "support/json.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  auto config = linnet::ModelDescription::parse(text, "f");
  if (!config) return 0;
  // An accepted config is written in a form with the same meaning.
  auto json = config->toJson();
  auto again = linnet::ModelDescription::parse(json.dump(), "again");
  if (!again || again->toJson() != json) abort();
  return 0;
}
