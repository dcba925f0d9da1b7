#include "chat/conversation.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>

namespace linnet::chat {

Conversation::Conversation(const Model &model, Session &session, Format format)
    : model(model), session(&session), format(std::move(format)) {
  const std::string stages = model.tokenizer()->parts().stages;
  byte_level = stages.empty() || stages.find("\"ByteLevel\"") != stages.npos;
}

Result<Conversation> Conversation::open(const Model &model, Session &session, Template chat,
                                        const std::string &system) {
  LINNET_ASSIGN(Format format, Format::make(model, std::move(chat)));
  Conversation made(model, session, std::move(format));
  if (!system.empty()) {
    made.said.push_back({"system", system});
    made.first = 1;
    std::vector<Message> probe = made.said;
    probe.push_back({"user", "Hello"});
    LINNET_TRY(made.format.render(probe, true));
  }
  return made;
}

Result<Answer> Conversation::answer(std::vector<Message> messages, const GenerateOptions &options,
                                    const TokenCallback &callback) {
  LINNET_ASSIGN(std::string text, format.render(messages, true));
  // What the session has: as many segments as the new text begins with.
  size_t kept = 0, size = 0;
  while (kept < segments.size() && std::string_view(text).substr(size).starts_with(segments[kept].text))
    size += segments[kept++].text.size();
  int64_t cached = kept ? segments[kept - 1].end : 0;
  LINNET_ASSIGN(Encoding rest, format.encode(std::string_view(text).substr(size)));
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
  if (all.eos_ids.empty()) all.eos_ids = format.ends();
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
