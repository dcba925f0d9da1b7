#include "manual/definitions.h"
#include "help.h"

#include <algorithm>

namespace linnet::cli {
namespace {

std::vector<std::string> splitBars(const std::string &text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t bar = std::min(text.find('|', begin), text.size());
    parts.push_back(text.substr(begin, bar - begin));
    begin = bar + 1;
  }
  return parts;
}

bool isWord(const std::string &text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isdigit(c) || std::islower(c) || c == '-' || c == '_';
  });
}

/// Sets what completes an argument, by the name of its type: "f32|bf16", "FILE.json", "DIR".
void setCompletion(OptionDefinition &option) {
  const std::string &type = option.value;
  std::vector<std::string> words = splitBars(type);
  if (words.size() > 1 && std::all_of(words.begin(), words.end(), isWord)) {
    option.completion = Completion::Words;
    option.words = std::move(words);
  } else if (type.find("FILE") != type.npos || type == "PATH" || type.ends_with(".json")) {
    option.completion = Completion::File;
  } else if (type.find("DIR") != type.npos) {
    option.completion = Completion::Directory;
  } else if (option.positional) {
    option.completion = Completion::File;
  }
}

OptionDefinition definitionOf(const CLI::Option &option) {
  OptionDefinition made;
  made.positional = !option.nonpositional();
  if (made.positional) {
    made.names = {option.get_name(true)};
  } else {
    for (const std::string &name : option.get_snames()) made.names.push_back("-" + name);
    for (const std::string &name : option.get_lnames()) made.names.push_back("--" + name);
  }
  if (option.get_type_size() != 0 && option.get_expected_max() != 0) { // neither is so for a flag
    made.value = typeName(option);
    if (made.value.empty() && !made.positional) made.value = "VALUE";
    made.standard = option.get_default_str();
  }
  made.help = option.get_description();
  made.required = option.get_required();
  made.repeatable = option.get_expected_max() > 1;
  setCompletion(made);
  return made;
}

CommandDefinition definitionOf(const CLI::App &app, const std::string &name) {
  CommandDefinition made{name, app.get_group(), app.get_description(), exampleOf(app), {}, {}, {}};
  for (const CLI::Option *option : app.get_options()) {
    OptionDefinition one = definitionOf(*option);
    (one.positional ? made.positionals : made.options).push_back(std::move(one));
  }
  for (const CLI::App *sub : visibleCommands(app))
    made.commands.push_back(
        definitionOf(*sub, name.empty() ? sub->get_name() : name + " " + sub->get_name()));
  return made;
}

} // namespace

CommandDefinition definitionOf(const CLI::App &app) { return definitionOf(app, ""); }

} // namespace linnet::cli
