// The commands and options of linnet as data for manual pages and completions, read from CLI11's objects.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace linnet::cli {

enum class Completion { Nothing, Words, File, Directory };

struct OptionDefinition {
  std::vector<std::string> names; ///< "-o", "--output"; one name without dashes for a positional argument
  std::string value;              ///< "FILE", "f32|bf16"; empty for a flag
  std::string standard;           ///< the default; may be empty
  std::string help;
  bool positional = false, required = false, repeatable = false;
  Completion completion = Completion::Nothing;
  std::vector<std::string> words; ///< the possible values, for Completion::Words
};

struct CommandDefinition {
  std::string name;  ///< without "linnet": "tokenizer train"; empty for the program itself
  std::string group; ///< heading in the list of commands
  std::string help, example;
  std::vector<OptionDefinition> options, positionals;
  std::vector<CommandDefinition> commands;
};

/// "linnet-tokenizer-train".
std::string pageName(const CommandDefinition &command);

/// Hidden commands, whose group is empty, are left out.
CommandDefinition definitionOf(const CLI::App &app);

/// Calls `visit` with every command that has a page: the program, then each command before its subcommands.
template <class Visit> void forEachCommand(const CommandDefinition &command, Visit visit) {
  visit(command);
  for (const CommandDefinition &one : command.commands) forEachCommand(one, visit);
}

// The texts of the files.
std::string manualPage(const CommandDefinition &command);
std::string bashCompletion(const CommandDefinition &program);
std::string zshCompletion(const CommandDefinition &program);
std::string fishCompletion(const CommandDefinition &program);

} // namespace linnet::cli
