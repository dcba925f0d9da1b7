// Chat templates by name, for models that bring none.
#pragma once
#include <string>
#include <string_view>

namespace linnet::chat {

/// The template of that name, or null.
const char *knownTemplate(std::string_view name);
/// "alpaca, chatml, ...", for help and errors.
std::string knownTemplateNames();

} // namespace linnet::chat
