// linnet manual: writes manual pages and completions. The build calls it; help does not list it.
#include "arguments.h"
#include "manual/definitions.h"
#include "support/error.h"
#include "support/file.h"

#include <filesystem>
#include <memory>
#include <set>

namespace linnet::cli {
namespace {

/// Removes pages of commands that the program does not have. An earlier version may have written them.
void removeStalePages(const std::string &folder, const std::set<std::string> &pages) {
  std::error_code ignored;
  for (const auto &entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("linnet-") && name.ends_with(".1") && !pages.count(name))
      std::filesystem::remove(entry.path(), ignored);
  }
}

Result<void> writeManual(const CommandDefinition &program, const std::string &folder) {
  for (const char *part : {"man1", "bash", "zsh", "fish"}) {
    std::error_code code;
    std::filesystem::create_directories(folder + "/" + part, code);
    if (code) return errorf("{}/{}: cannot be created: {}", folder, part, code.message());
  }
  Result<void> written;
  std::set<std::string> pages;
  forEachCommand(program, [&](const CommandDefinition &command) {
    const std::string page = pageName(command) + ".1";
    pages.insert(page);
    if (written) written = writeTextFile(fmt::format("{}/man1/{}", folder, page), manualPage(command));
  });
  LINNET_TRY(written);
  removeStalePages(folder + "/man1", pages);
  LINNET_TRY(writeTextFile(folder + "/bash/linnet", bashCompletion(program)));
  LINNET_TRY(writeTextFile(folder + "/zsh/_linnet", zshCompletion(program)));
  return writeTextFile(folder + "/fish/linnet.fish", fishCompletion(program));
}

} // namespace

void addManual(CLI::App &app, Action &action) {
  auto folder = std::make_shared<std::string>();
  CLI::App *command = app.add_subcommand("manual", "write manual pages and completions");
  command->group(""); // hidden
  command->add_option("DIR", *folder, "folder to write to")->required()->type_name("");
  command->callback([&app, folder, &action] {
    action = [&app, folder] { return writeManual(definitionOf(app), *folder); };
  });
}

} // namespace linnet::cli
