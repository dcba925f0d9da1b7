// Options of the commands that run passes.
#pragma once
#include "arguments.h"
#include "compiler/api.h"

namespace linnet::cli {

/// --set, of the commands that read a checkpoint's config.json.
void addSettings(CLI::App &command, std::vector<std::string> &settings);

/// Adds --max-context, --max-batch, --dtype, --kv-cache, -O, --no-onednn, --weights, and the options that choose, add
/// and verify passes.
void addPassOptions(CLI::App &command, CompileOptions &options, bool may_choose = false);

/// --first-passes and --load-pass-plugin.
void addOwnPassOptions(CLI::App &command, CompileOptions &options);

} // namespace linnet::cli
