// The text of help and of usage errors.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace linnet::cli {
/// Formats options with their argument and default only.
std::shared_ptr<CLI::FormatterBase> helpFormatter();
/// The help of the subcommand on the command line.
std::string helpOf(const CLI::App &app);
/// One line: the fault, the most similar name for a misspelt one, and the command that prints the help.
std::string usageMessage(const CLI::App &app, const CLI::ParseError &error);
} // namespace linnet::cli
