#include "chat/conversation.h"
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

Conversation::Conversation(const Model &model, Session &session, Template chat)
    : model(model), session(&session), chat(std::move(chat)) {
  if (!model.tokenizer()) return;
  const std::string stages = model.tokenizer()->parts().stages;
  byte_level = stages.empty() || stages.find("\"ByteLevel\"") != stages.npos;
}

Result<Conversation> Conversation::open(const Model &model, Session &session, Template chat,
                                        const std::string &system) {
  if (!model.tokenizer())
    return errorf("{}: the model has no tokenizer, which a conversation needs", model.path());
  Conversation made(model, session, std::move(chat));
  if (!system.empty()) {
    made.said.push_back({"system", system});
    made.first = 1;
    std::vector<Message> probe = made.said;
    probe.push_back({"user", "Hello"});
    LINNET_TRY(made.render(probe, true));
  }
  made.findEndTokens();
  return made;
}

Result<std::string> Conversation::render(const std::vector<Message> &messages,
                                         bool add_generation_prompt) const {
  Json variables = {{"messages", Json::array()},
                    {"tools", nullptr},
                    {"documents", nullptr},
                    {"add_generation_prompt", add_generation_prompt}};
  for (const Message &message : messages)
    variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
  const Tokenizer &tokenizer = *model.tokenizer();
  for (auto [name, id] :
       {std::pair{"bos_token", tokenizer.bosId()}, std::pair{"eos_token", tokenizer.eosId()},
        std::pair{"unk_token", tokenizer.unkId()}, std::pair{"pad_token", tokenizer.padId()}})
    if (id) variables[name] = tokenizer.tokenSpelling(*id);
  return chat.render(variables);
}

Result<Encoding> Conversation::encoded(std::string_view text) const {
  EncodeOptions options;
  options.add_special_tokens = false; // the template writes them
  return model.tokenizer()->encode(text, options);
}

/// Many models end a turn with a token that their files do not name as the end of a text.
void Conversation::findEndTokens() {
  constexpr std::string_view kAnswer = "Linnet's answer";
  auto text = render({{"user", "Hello"}, {"assistant", std::string(kAnswer)}}, false);
  if (!text) return;
  const size_t at = text->rfind(kAnswer);
  if (at == text->npos) return;
  auto rest = encoded(std::string_view(*text).substr(at + kAnswer.size()));
  if (rest && !rest->ids.empty() && model.tokenizer()->isSpecial(rest->ids[0])) turn_ends = {rest->ids[0]};
}

Result<Answer> Conversation::answer(std::vector<Message> messages, const GenerateOptions &options,
                                    const TokenCallback &callback) {
  LINNET_ASSIGN(std::string text, render(messages, true));
  // What the session has: as many segments as the new text begins with.
  size_t kept = 0, size = 0;
  while (kept < segments.size() && std::string_view(text).substr(size).starts_with(segments[kept].text))
    size += segments[kept++].text.size();
  int64_t cached = kept ? segments[kept - 1].end : 0;
  LINNET_ASSIGN(Encoding rest, encoded(std::string_view(text).substr(size)));
  std::vector<TokenId> whole;
  if (!byte_level) { // no segments, so this is the whole text
    const auto same = std::ranges::mismatch(fed, rest.ids).in1 - fed.begin();
    cached = static_cast<int64_t>(same);
    whole = rest.ids;
    rest.ids.erase(rest.ids.begin(), rest.ids.begin() + same);
  }
  const int64_t total = cached + static_cast<int64_t>(rest.ids.size()), context = model.config().context;
  if (total >= context)
    return errorf("the conversation has {} tokens with this turn, and the context {}: expected fewer", total,
                  context);
  GenerateOptions all = options;
  if (all.eos_ids.empty()) {
    all.eos_ids = model.config().eos_ids;
    for (TokenId id : turn_ends)
      if (std::find(all.eos_ids.begin(), all.eos_ids.end(), id) == all.eos_ids.end())
        all.eos_ids.push_back(id);
  }
  segments.resize(kept);
  session->rewind(cached);
  fed = std::move(whole);
  auto result = session->generate(rest.ids, all, callback);
  if (!result) {
    session->rewind(cached);
    fed.resize(std::min(fed.size(), static_cast<size_t>(cached)));
    return result.error();
  }
  if (!byte_level) {
    fed.insert(fed.end(), result->ids.begin(), result->ids.end());
    fed.resize(std::min(fed.size(), static_cast<size_t>(session->position())));
  }
  // An empty segment would end where the next one begins.
  if (byte_level && !rest.ids.empty()) segments.push_back({text.substr(size), total});
  // After a stop text, the session has tokens that the answer has not: the next turn feeds the answer again.
  if (byte_level && result->finish_reason != FinishReason::Stop && !result->ids.empty()) {
    std::string generated = result->text;
    if (result->finish_reason == FinishReason::Eos)
      generated += model.tokenizer()->tokenSpelling(result->ids.back());
    segments.push_back({std::move(generated), session->position()});
  }
  messages.push_back({"assistant", result->text});
  said = std::move(messages);
  return Answer{std::move(*result), total, cached};
}

Result<Answer> Conversation::say(const std::string &text, const GenerateOptions &options,
                                 const TokenCallback &callback) {
  std::vector<Message> messages = said;
  messages.push_back({"user", text});
  return answer(std::move(messages), options, callback);
}

Result<Answer> Conversation::edit(const std::string &text, const GenerateOptions &options,
                                  const TokenCallback &callback) {
  std::vector<Message> messages(said.begin(), said.end() - 2);
  messages.push_back({"user", text});
  return answer(std::move(messages), options, callback);
}

void Conversation::reset() {
  said.resize(first);
  segments.clear();
  fed.clear();
  session->reset();
}

Json Conversation::toJson() const {
  Json json = Json::array();
  for (const Message &message : said) json.push_back({{"role", message.role}, {"content", message.content}});
  return json;
}

} // namespace linnet::chat
