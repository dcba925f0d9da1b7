// The text of help and of usage errors.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

namespace linnet::cli {
/// Formats options with their argument and default only.
std::shared_ptr<CLI::FormatterBase> helpFormatter();
/// The help of the subcommand on the command line.
std::string helpOf(const CLI::App &app);
/// The commands that help lists: hidden ones have no group.
std::vector<const CLI::App *> visibleCommands(const CLI::App &command);
/// The name of an option's type, without the words of a validator: "f32|bf16".
std::string typeName(const CLI::Option &option);
/// The lines of the example in a command's help, without indentation.
std::string exampleOf(const CLI::App &command);
/// One line: the fault, the most similar name for a misspelt one, and the command that prints the help.
std::string usageMessage(const CLI::App &app, const CLI::ParseError &error);
} // namespace linnet::cli
