// How help and usage errors read.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace linnet::cli {
/// Options with their argument and default, nothing else.
std::shared_ptr<CLI::FormatterBase> helpFormatter();
/// The help of the subcommand that the line got to.
std::string helpOf(const CLI::App &app);
/// One line: what is wrong, the nearest name where one was misspelt, and where to read more.
std::string usageMessage(const CLI::App &app, const CLI::ParseError &error);
} // namespace linnet::cli
