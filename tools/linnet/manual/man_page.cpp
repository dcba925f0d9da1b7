// Pages in the macros of man(7).
#include "linnet/version.h"
#include "manual/definitions.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace linnet::cli {
namespace {

/// Text of a line. A hyphen is an ASCII hyphen, so that options can be copied; a line cannot begin with a macro.
std::string escaped(const std::string &text) {
  std::string out = !text.empty() && (text[0] == '.' || text[0] == '\'') ? "\\&" : "";
  for (char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

std::string fullName(const CommandDefinition &command) {
  return command.name.empty() ? "linnet" : "linnet " + command.name;
}

std::string upper(std::string text) {
  for (char &c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string synopsis(const CommandDefinition &command) {
  std::string out = fmt::format("\\fB{}\\fR [\\fIOPTIONS\\fR]", escaped(fullName(command)));
  if (!command.commands.empty()) out += " \\fICOMMAND\\fR";
  for (const OptionDefinition &argument : command.positionals) {
    const std::string name = fmt::format("\\fI{}\\fR", escaped(argument.names[0]));
    out += " " + (argument.required ? name : "[" + name + "]") + (argument.repeatable ? "..." : "");
  }
  return out + "\n";
}

std::string sentence(const OptionDefinition &option) {
  std::string text = option.help;
  if (!option.standard.empty()) text += fmt::format(" (default: {})", option.standard);
  if (option.required && !option.positional) text += " (required)";
  return escaped(text) + "\n";
}

std::string optionText(const OptionDefinition &option) {
  std::vector<std::string> names;
  for (const std::string &name : option.names)
    names.push_back(fmt::format("\\f{}{}\\fR", option.positional ? 'I' : 'B', escaped(name)));
  std::string out = fmt::format(".TP\n{}", fmt::join(names, ", "));
  if (!option.value.empty() && !option.positional) out += fmt::format(" \\fI{}\\fR", escaped(option.value));
  return out + "\n" + sentence(option);
}

/// The commands by group, in the order of each group's first command.
std::string commandList(const CommandDefinition &command) {
  std::vector<std::pair<std::string, std::string>> groups;
  for (const CommandDefinition &one : command.commands) {
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto &g) { return g.first == one.group; });
    if (group == groups.end()) group = groups.insert(group, {one.group, ""});
    group->second += fmt::format(".TP\n\\fB{}\\fR(1)\n{}\n", escaped(pageName(one)), escaped(one.help));
  }
  std::string out = groups.empty() ? "" : ".SH COMMANDS\n";
  for (const auto &[name, text] : groups) out += fmt::format(".SS {}\n{}", escaped(name), text);
  return out;
}

/// Links to the parent and to the program.
std::string seeAlso(const CommandDefinition &command) {
  if (command.name.empty()) return "";
  std::string out = "\\fBlinnet\\fR(1)";
  if (const size_t space = command.name.find(' '); space != std::string::npos)
    out += fmt::format(", \\fBlinnet\\-{}\\fR(1)", escaped(command.name.substr(0, space)));
  return ".SH SEE ALSO\n" + out + "\n";
}

} // namespace

std::string pageName(const CommandDefinition &command) {
  std::string name = command.name.empty() ? "linnet" : "linnet-" + command.name;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string manualPage(const CommandDefinition &command) {
  std::string out = fmt::format(".TH {} 1 \"\" \"Linnet {}\" \"User Commands\"\n",
                                escaped(upper(pageName(command))), version());
  out += fmt::format(".SH NAME\n{} \\- {}\n", escaped(pageName(command)), escaped(command.help));
  out += ".SH SYNOPSIS\n" + synopsis(command);
  out += commandList(command);
  if (!command.positionals.empty()) out += ".SH ARGUMENTS\n";
  for (const OptionDefinition &argument : command.positionals) out += optionText(argument);
  out += ".SH OPTIONS\n";
  for (const OptionDefinition &option : command.options) out += optionText(option);
  if (!command.example.empty()) out += ".SH EXAMPLE\n.nf\n" + escaped(command.example) + "\n.fi\n";
  return out + seeAlso(command);
}

} // namespace linnet::cli
