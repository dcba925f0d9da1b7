// linnet manual: writes manual pages and completions. The build calls it; help does not list it.
#include "arguments.h"
#include "manual/definitions.h"
#include "support/error.h"
#include "support/file.h"

#include <algorithm>
#include <filesystem>
#include <memory>

namespace linnet::cli {
namespace {

Result<void> writeManual(const CommandDefinition &program, const std::string &folder) {
  for (const char *part : {"man1", "bash", "zsh", "fish"}) {
    std::error_code code;
    std::filesystem::create_directories(folder + "/" + part, code);
    if (code) return errorf("{}/{}: cannot be created: {}", folder, part, code.message());
  }
  Result<void> written;
  forEachCommand(program, [&](const CommandDefinition &command) {
    if (written)
      written = writeTextFile(fmt::format("{}/man1/{}.1", folder, pageName(command)), manualPage(command));
  });
  LINNET_TRY(written);
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
