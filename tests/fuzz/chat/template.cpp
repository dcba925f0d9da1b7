// Any bytes as a chat template, rendered with a small conversation.
#include "chat/template.h"
#include "support/json.h"

#include <cstdint>
#include <string_view>

using namespace linnet;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Json variables = {{"messages",
                                  {{{"role", "system"}, {"content", "Be \u00e9 'brief'."}},
                                   {{"role", "user"}, {"content", "a <b> \"c\"\n d"}},
                                   {{"role", "assistant"}, {"content", nullptr}}}},
                                 {"add_generation_prompt", true},
                                 {"tools", nullptr},
                                 {"bos_token", "<s>"},
                                 {"eos_token", "</s>"}};
  auto parsed = chat::Template::parse({reinterpret_cast<const char *>(data), size}, "template");
  if (parsed) (void)parsed->render(variables, {});
  return 0;
}
