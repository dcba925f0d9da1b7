#include "help.h"
#include "support/suggestion.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace linnet::cli {
namespace {

class Formatter : public CLI::Formatter {
public:
  Formatter() { column_width(32); }
  std::string make_option_opts(const CLI::Option *option) const override {
    if (option->get_type_size() == 0) return "";
    std::string type = option->get_type_name(), text;
    if (size_t colon = type.find(':'); colon != std::string::npos) type.resize(colon); // a validator's words
    if (!type.empty()) text = " " + type;
    if (!option->get_default_str().empty()) text += " (" + option->get_default_str() + ")";
    return text;
  }
};

/// The subcommand that the line got to, and its name as typed: "linnet tokenizer train".
const CLI::App *deepest(const CLI::App &app, std::string &name) {
  const CLI::App *at = &app;
  name = "linnet";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  return at;
}

std::vector<std::string> optionNames(const CLI::App &command) {
  std::vector<std::string> names;
  for (const CLI::Option *option : command.get_options())
    for (const std::string &name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> commandNames(const CLI::App &command) {
  std::vector<std::string> names;
  for (const CLI::App *sub : command.get_subcommands([](const CLI::App *) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

} // namespace

std::shared_ptr<CLI::FormatterBase> helpFormatter() { return std::make_shared<Formatter>(); }

std::string helpOf(const CLI::App &app) {
  std::string name;
  const CLI::App *command = deepest(app, name);
  size_t space = name.rfind(' ');
  return command->help(space == std::string::npos ? "" : name.substr(0, space));
}

std::string usageMessage(const CLI::App &app, const CLI::ParseError &error) {
  std::string name, message = error.what();
  const CLI::App *command = deepest(app, name);
  std::vector<std::string> left = command->remaining();
  std::vector<std::string> commands = commandNames(*command);
  if (left.empty()) left = app.remaining();
  auto dashed =
      std::find_if(left.begin(), left.end(), [](const std::string &s) { return s.starts_with("-"); });
  if (dashed != left.end()) {
    std::string typed = dashed->substr(0, dashed->find('='));
    message = "unknown option " + typed + suggestion(typed, optionNames(*command));
  } else if (!commands.empty()) {
    std::string typed = left.empty() ? "" : left.front();
    message = typed.empty() ? fmt::format("expected a command: {}", fmt::join(commands, ", "))
                            : fmt::format("no command '{}'{}", typed, suggestion(typed, commands));
  } else if (!left.empty()) {
    message = "unexpected argument '" + left.front() + "'";
  }
  return fmt::format("{} (see '{} --help')", message, name);
}

} // namespace linnet::cli
