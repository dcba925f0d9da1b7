// The chat template of a checkpoint directory: chat_template.jinja, else the key chat_template of
// tokenizer_config.json (a text, or a list of named ones, of which "default" is used), as in transformers.
#pragma once
#include "support/result.h"

#include <string>

namespace linnet {

inline constexpr const char *kChatTemplate = "chat_template.jinja";

struct ChatTemplateFile {
  std::string text; ///< not parsed; empty if the directory has no template
  std::string path; ///< the file that has it
};

Result<ChatTemplateFile> readChatTemplate(const std::string &directory);
/// Writes chat_template.jinja. Writes nothing if the text is empty.
Result<void> writeChatTemplate(const std::string &text, const std::string &directory);

} // namespace linnet
