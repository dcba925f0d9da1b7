#include "frontend/model/chat_template.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"

namespace linnet {
namespace {

constexpr const char *kExpected =
    "expected a text, or a list of objects with the texts \"name\" and \"template\"";

Result<std::string> fromConfig(const Json &value, const std::string &where) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return errorf("{}: {}", where, kExpected);
  std::string chosen;
  for (const Json &entry : value) {
    const auto text = [&](const char *key) {
      auto found = entry.is_object() ? entry.find(key) : entry.end();
      return entry.is_object() && found != entry.end() && found->is_string()
                 ? &found->get_ref<const std::string &>()
                 : nullptr;
    };
    const std::string *name = text("name"), *source = text("template");
    if (!name || !source) return errorf("{}: {}", where, kExpected);
    if (*name == "default") chosen = *source;
  }
  return chosen;
}

} // namespace

Result<ChatTemplateFile> readChatTemplate(const std::string &directory) {
  const std::string file = directory + "/" + kChatTemplate, config = directory + "/tokenizer_config.json";
  if (fileExists(file)) {
    LINNET_ASSIGN(std::string text, readTextFile(file));
    LINNET_ASSIGN(std::string_view plain, withoutByteOrderMark(text, file));
    return ChatTemplateFile{std::string(plain), file};
  }
  if (!fileExists(config)) return ChatTemplateFile();
  LINNET_ASSIGN(Json json, readJsonFile(config));
  if (!json.is_object()) return errorf("{}: expected a JSON object", config);
  auto found = json.find("chat_template");
  if (found == json.end()) return ChatTemplateFile();
  LINNET_ASSIGN(std::string text, fromConfig(*found, config + ": chat_template"));
  return ChatTemplateFile{std::move(text), config};
}

Result<void> writeChatTemplate(const std::string &text, const std::string &directory) {
  return text.empty() ? Result<void>() : writeTextFile(directory + "/" + kChatTemplate, text);
}

} // namespace linnet
