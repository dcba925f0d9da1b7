// Completion scripts. Each shell gets the same choices: commands, the options of a command, words of an option, files.
#include "manual/definitions.h"

#include <fmt/format.h>
#include <functional>

namespace linnet::cli {
namespace {

/// In single quotes for a shell of the family of sh.
std::string quoted(const std::string &text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string lastWord(const CommandDefinition &command) {
  return command.name.substr(command.name.rfind(' ') + 1); // npos + 1 is 0
}

std::vector<std::string> namesOf(const std::vector<CommandDefinition> &commands) {
  std::vector<std::string> names;
  for (const CommandDefinition &command : commands) names.push_back(lastWord(command));
  return names;
}

} // namespace

// bash: the command is found among the words before the cursor.

std::string bashCompletion(const CommandDefinition &program) {
  std::string found, values, words;
  forEachCommand(program, [&](const CommandDefinition &command) {
    for (const CommandDefinition &sub : command.commands)
      found += fmt::format("      '{} {}') command='{}' ;;\n", command.name, lastWord(sub), sub.name);
    std::vector<std::string> offered;
    for (const OptionDefinition &option : command.options) {
      offered.insert(offered.end(), option.names.begin(), option.names.end());
      if (option.value.empty()) continue;
      std::string reply = "return";
      if (option.completion == Completion::Words)
        reply = fmt::format("words='{}'; files=", fmt::join(option.words, " "));
      if (option.completion == Completion::File) reply = "words=; files=-f";
      if (option.completion == Completion::Directory) reply = "words=; files=-d";
      std::vector<std::string> patterns;
      for (const std::string &name : option.names)
        patterns.push_back(fmt::format("'{} {}'", command.name, name));
      values += fmt::format("    {}) {} ;;\n", fmt::join(patterns, " | "), reply);
    }
    const bool files = !command.positionals.empty();
    words +=
        fmt::format("        '{}') options='{}'; words='{}'; files={} ;;\n", command.name,
                    fmt::join(offered, " "), fmt::join(namesOf(command.commands), " "), files ? "-f" : "");
  });
  return fmt::format(R"(# Completion of linnet for bash. Generated from the program's options.
_linnet() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command= options= words= files= i
  if [[ $cur == '=' ]]; then cur=; elif [[ $prev == '=' ]]; then prev=${{COMP_WORDS[COMP_CWORD - 2]}}; fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command ${{COMP_WORDS[i]}}" in
{}    esac
  done
  COMPREPLY=()
  case "$command $prev" in
{}    *)
      case "$command" in
{}      esac
      if [[ $cur == -* ]]; then words=$options files=; fi ;;
  esac
  local IFS=$'\n'
  COMPREPLY=($(IFS=' '; compgen -W "$words" -- "$cur") $([[ $files ]] && compgen $files -- "$cur"))
  [[ $files ]] && compopt -o filenames 2>/dev/null
  return 0
}}
complete -F _linnet linnet
)",
                     found, values, words);
}

// zsh: one call of _arguments for each command.

namespace {

/// The text of a message in a specification of _arguments.
std::string zshText(const std::string &text) {
  std::string out;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zshAction(const OptionDefinition &option) {
  switch (option.completion) {
  case Completion::Words:
    return fmt::format("({})", fmt::join(option.words, " "));
  case Completion::File:
    return "_files";
  case Completion::Directory:
    return "_files -/";
  case Completion::Nothing:
    break;
  }
  return " "; // a value that has no completion
}

std::string zshArguments(const CommandDefinition &command) {
  std::string out;
  for (const OptionDefinition &option : command.options) {
    std::string rest = fmt::format("[{}]", zshText(option.help));
    if (!option.value.empty()) rest += fmt::format(":{}:{}", zshText(option.value), zshAction(option));
    for (const std::string &name : option.names) {
      const std::string excluded =
          option.repeatable ? "*" : fmt::format("({})", fmt::join(option.names, " "));
      out += fmt::format(" \\\n        {}", quoted(excluded + name + rest));
    }
  }
  for (const OptionDefinition &argument : command.positionals)
    out +=
        fmt::format(" \\\n        {}", quoted(fmt::format("{}:{}:{}", argument.repeatable ? "*" : "",
                                                          zshText(argument.names[0]), zshAction(argument))));
  return out;
}

std::string zshFunction(const std::string &name) {
  std::string out = "_linnet";
  for (char c : name.empty() ? "" : "-" + name) out += c == ' ' ? '-' : c;
  return out;
}

} // namespace

std::string zshCompletion(const CommandDefinition &program) {
  std::string out =
      "#compdef linnet\n# Completion of linnet for zsh. Generated from the program's options.\n";
  forEachCommand(program, [&](const CommandDefinition &command) {
    out += fmt::format("\n{}() {{\n", zshFunction(command.name));
    if (command.commands.empty()) {
      out += fmt::format("  _arguments -s{}\n}}\n", zshArguments(command));
      return;
    }
    out += fmt::format("  local curcontext=\"$curcontext\" state line\n  local -a commands\n"
                       "  _arguments -C{} \\\n        '1: :->command' '*:: :->argument'\n"
                       "  case $state in\n    command)\n      commands=(\n",
                       zshArguments(command));
    for (const CommandDefinition &sub : command.commands)
      out += fmt::format("        {}\n", quoted(lastWord(sub) + ":" + zshText(sub.help)));
    out +=
        "      )\n      _describe -t commands command commands ;;\n    argument)\n      case $words[1] in\n";
    for (const CommandDefinition &sub : command.commands)
      out += fmt::format("        {}) {} ;;\n", lastWord(sub), zshFunction(sub.name));
    out += "      esac ;;\n  esac\n}\n";
  });
  return out + "\n_linnet \"$@\"\n";
}

// fish: one line for each option, with the commands that it belongs to as a condition.

namespace {

/// In single quotes, where fish knows two escapes.
std::string fishQuoted(const std::string &text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

/// True if the words before the cursor name this command and none of its subcommands.
std::string fishCondition(const CommandDefinition &command) {
  return fmt::format("test (__linnet_command) = {}",
                     command.name.empty() ? "none" : fishQuoted(command.name));
}

} // namespace

std::string fishCompletion(const CommandDefinition &program) {
  std::string cases, lines;
  forEachCommand(program, [&](const CommandDefinition &command) {
    const std::string condition = fmt::format("complete -c linnet -n {}", fishQuoted(fishCondition(command)));
    for (const CommandDefinition &sub : command.commands) {
      cases += fmt::format("            case '{} {}'\n                set command '{}'\n",
                           command.name.empty() ? "none" : command.name, lastWord(sub), sub.name);
      lines += fmt::format("{} -f -a {} -d {}\n", condition, lastWord(sub), fishQuoted(sub.help));
    }
    for (const OptionDefinition &option : command.options) {
      std::string line = condition;
      for (const std::string &name : option.names)
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (option.completion == Completion::File)
        line += " -r -F";
      else if (option.completion == Completion::Directory)
        line += " -x -a '(__fish_complete_directories)'";
      else if (option.completion == Completion::Words)
        line += fmt::format(" -x -a {}", fishQuoted(fmt::format("{}", fmt::join(option.words, " "))));
      else if (!option.value.empty())
        line += " -x";
      lines += line + " -d " + fishQuoted(option.help) + "\n";
    }
  });
  return fmt::format(R"(# Completion of linnet for fish. Generated from the program's options.
function __linnet_command
    set -l command none
    for word in (commandline -opc)[2..-1]
        switch "$command $word"
{}        end
    end
    echo $command
end
{})",
                     cases, lines);
}

} // namespace linnet::cli
