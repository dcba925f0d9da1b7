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
    std::string type = typeName(*option), text;
    if (!type.empty()) text = " " + type;
    if (!option->get_default_str().empty()) text += " (" + option->get_default_str() + ")";
    return text;
  }
};

/// The last subcommand on the command line. Sets `name` to its full name: "linnet tokenizer train".
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
  for (const CLI::App *sub : visibleCommands(command)) names.push_back(sub->get_name());
  return names;
}

/// A message of CLI11, split at `middle`, and its replacement: {0} is the part before `middle`, {1} the part
/// after it without `tail`.
struct Wording {
  std::string_view middle, tail, ours;
};
constexpr Wording kWordings[] = {
    {": At Most 1 required but received ", "", "{0} is given {1} times, expected once"},
    {": 1 required ", " missing", "{0}: expected {1} after it, found nothing"},
    {": At least 1 required but received 0", "", "{0}: expected a value after it, found nothing"},
    {" was given a disallowed flag override", "", "{0} takes no value"},
    {": Should be true/false or a number", "", "{0} takes no value"},
    {": too many inputs for a flag", "", "{0} takes no value"},
    {": File does not exist: ", "", "{0}: {1}: No such file or directory"},
    {": File is actually a directory: ", "", "{0}: {1}: expected a file, found a directory"},
};

std::string inOurWords(const std::string &message, const CLI::App &command) {
  std::string_view text = message;
  for (const Wording &wording : kWordings) {
    size_t at = text.find(wording.middle);
    if (at == std::string_view::npos || !text.ends_with(wording.tail)) continue;
    std::string_view rest = text.substr(at + wording.middle.size());
    rest.remove_suffix(std::min(rest.size(), wording.tail.size()));
    if (!wording.tail.empty())
      rest = rest.substr(0, rest.find(':')); // the name of the type, without its validator's
    return fmt::format(fmt::runtime(wording.ours), text.substr(0, at), rest);
  }
  constexpr std::string_view kConversion = "Could not convert: ", kEquals = " = ", kNoMember = " not in {";
  size_t equals = text.find(kEquals), member = text.rfind(kNoMember), colon = text.find(": ");
  if (text.starts_with(kConversion) && equals != std::string_view::npos) {
    std::string name(text.substr(kConversion.size(), equals - kConversion.size()));
    const CLI::Option *option = command.get_option_no_throw(name);
    if (option && option->get_expected_max() == 0) return name + " takes no value"; // a flag
    return fmt::format("{}: expected a whole number, found '{}'", name, text.substr(equals + kEquals.size()));
  }
  if (member != std::string_view::npos && text.ends_with('}') && colon < member) {
    std::string_view names = text.substr(member + kNoMember.size());
    names.remove_suffix(1);
    return fmt::format("{}: expected one of {}, found '{}'", text.substr(0, colon), names,
                       text.substr(colon + 2, member - colon - 2));
  }
  return message;
}

} // namespace

std::shared_ptr<CLI::FormatterBase> helpFormatter() { return std::make_shared<Formatter>(); }

std::vector<const CLI::App *> visibleCommands(const CLI::App &command) {
  return command.get_subcommands([](const CLI::App *sub) { return !sub->get_group().empty(); });
}

std::string typeName(const CLI::Option &option) {
  const std::string name = option.get_type_name();
  return name.substr(0, name.find(':'));
}

std::string exampleOf(const CLI::App &command) {
  std::string text = command.get_footer();
  const size_t begin = text.find('\n', 1); // after the heading
  if (begin == std::string::npos) return "";
  std::string out;
  for (size_t i = begin; i < text.size(); ++i)
    if (text.compare(i, 3, "\n  ") == 0)
      out += '\n', i += 2;
    else
      out += text[i];
  return out.substr(1);
}

std::string helpOf(const CLI::App &app) {
  std::string name;
  const CLI::App *command = deepest(app, name);
  size_t space = name.rfind(' ');
  return command->help(space == std::string::npos ? "" : name.substr(0, space));
}

std::string usageMessage(const CLI::App &app, const CLI::ParseError &error) {
  std::string name;
  const CLI::App *command = deepest(app, name);
  std::string message = inOurWords(error.what(), *command);
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
