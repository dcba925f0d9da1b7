// --preset of commands that make a new model.
#pragma once
#include "arguments.h"

namespace linnet::cli {

/// Adds the option. The command's help lists the presets, which the compiler library names.
CLI::Option *addPreset(CLI::App &command, std::string &preset);

} // namespace linnet::cli
