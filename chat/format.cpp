#include "chat/format.h"
#include "chat/known.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>

namespace linnet::chat {

Result<Template> templateOf(const Model &model) {
  LINNET_ASSIGN(Json config, parseJson(model.configJson(), model.path() + ": config.json"));
  auto found = config.is_object() ? config.find("chat_template") : config.end();
  if (!config.is_object() || found == config.end() || !found->is_string())
    return errorf("{}: the model has no chat template: name one with --chat-template ({}) or give a file",
                  model.path(), knownTemplateNames());
  auto parsed = Template::parse(found->get_ref<const std::string &>(), model.path() + ": chat template");
  if (!parsed) return errorf("{}; --chat-template names another one", parsed.error().message);
  return parsed;
}

Result<Format> Format::make(const Model &model, Template chat) {
  if (!model.tokenizer())
    return errorf("{}: the model has no tokenizer, which a conversation needs", model.path());
  Format made(*model.tokenizer(), std::move(chat));
  made.end_ids = model.config().eos_ids;
  made.findEndTokens();
  return made;
}

Result<std::string> Format::render(const std::vector<Message> &messages, bool add_generation_prompt) const {
  Json variables = {{"messages", Json::array()},
                    {"tools", nullptr},
                    {"documents", nullptr},
                    {"add_generation_prompt", add_generation_prompt}};
  for (const Message &message : messages)
    variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
  for (auto [name, id] :
       {std::pair{"bos_token", tokenizer.bosId()}, std::pair{"eos_token", tokenizer.eosId()},
        std::pair{"unk_token", tokenizer.unkId()}, std::pair{"pad_token", tokenizer.padId()}})
    if (id) variables[name] = tokenizer.tokenSpelling(*id);
  return chat.render(variables);
}

Result<Encoding> Format::encode(std::string_view text) const {
  EncodeOptions options;
  options.add_special_tokens = false; // the template writes them
  return tokenizer.encode(text, options);
}

/// Many models end a turn with a token that their files do not name as the end of a text.
void Format::findEndTokens() {
  constexpr std::string_view kAnswer = "Linnet's answer";
  auto text = render({{"user", "Hello"}, {"assistant", std::string(kAnswer)}}, false);
  if (!text) return;
  const size_t at = text->rfind(kAnswer);
  if (at == text->npos) return;
  auto rest = encode(std::string_view(*text).substr(at + kAnswer.size()));
  if (!rest || rest->ids.empty() || !tokenizer.isSpecial(rest->ids[0])) return;
  if (std::ranges::find(end_ids, rest->ids[0]) == end_ids.end()) end_ids.push_back(rest->ids[0]);
}

} // namespace linnet::chat
