// --pooling of the commands that embed texts.
#pragma once
#include "arguments.h"
#include "linnet/session.h"

#include <string>

namespace linnet::cli {

/// `name` is one of those that the option accepts.
inline Pooling poolingOf(const std::string &name) {
  return name == "mean" ? Pooling::Mean : name == "first" ? Pooling::First : Pooling::Last;
}

/// Declares the option; `purpose` is its text in the help.
inline void addPooling(CLI::App &command, std::string &pooling, const std::string &purpose) {
  command.add_option("--pooling", pooling, purpose)
      ->check(CLI::IsMember({"last", "mean", "first"}).description(""))
      ->type_name("HOW")
      ->capture_default_str();
}

} // namespace linnet::cli
