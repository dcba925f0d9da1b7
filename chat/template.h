// Chat templates: the part of Jinja2 that the templates of language models use, with the meaning that
// transformers gives it (trim_blocks, lstrip_blocks, its tojson, raise_exception and strftime_now).
//
//   auto chat = linnet::chat::Template::parse(text, "tokenizer_config.json: chat_template");
//   auto prompt = chat->render({{"messages", {{{"role", "user"}, {"content", "Hello"}}}},
//                               {"add_generation_prompt", true}, {"bos_token", "<s>"}});
//
// Templates are untrusted: their depth, their steps and the size of their text are bounded.
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace linnet::chat {

struct Syntax;

class Template {
public:
  /// Most bytes of a template.
  static constexpr size_t kMaxSource = size_t(1) << 20;

  /// Parses the template. What it needs beyond the supported part of Jinja2 is an error with line and column.
  /// Errors begin with `where`.
  static Result<Template> parse(std::string_view source, const std::string &where);
  /// The text of the template with `variables`, an object. `now` is the time of strftime_now. Thread-safe.
  Result<std::string> render(const Json &variables, const std::tm &now) const;
  /// The same with the local time.
  Result<std::string> render(const Json &variables) const;

private:
  std::shared_ptr<const Syntax> syntax;
};

} // namespace linnet::chat
