#include "preset_option.h"
#include "compiler.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::cli {
namespace {

/// The presets; empty without the compiler library, which the command reports later.
std::vector<std::string> presets() {
  auto api = compiler("--preset");
  return api ? (*api)->presets() : std::vector<std::string>();
}

std::string check(const std::string &name) {
  const std::vector<std::string> names = presets();
  if (names.empty() || std::find(names.begin(), names.end(), name) != names.end()) return "";
  return fmt::format("expected one of {}, found '{}'", fmt::join(names, ","), name);
}

} // namespace

CLI::Option *addPreset(CLI::App &command, std::string &preset) {
  command.footer([] {
    constexpr size_t kColumns = 100;
    std::string text;
    size_t column = 0;
    for (const std::string &name : presets()) {
      if (text.empty()) text = "\nPresets:", column = 8;
      const bool wraps = column + name.size() + 2 > kColumns;
      if (wraps) text += "\n        ", column = 8;
      text += " " + name + ",";
      column += name.size() + 2;
    }
    if (!text.empty()) text.pop_back();
    return text;
  });
  return command.add_option("--preset", preset, "shape of the model: one of the presets below")
      ->check(CLI::Validator(check, ""))
      ->type_name("NAME");
}

} // namespace linnet::cli
