// linnet export: writes a checkpoint in another file format.
#include "arguments.h"
#include "compile_options.h"
#include "compiler.h"
#include "output.h"
#include "support/json.h"

#include <memory>

namespace linnet::cli {
namespace export_command {

struct Options {
  ExportOptions write;
  bool json = false;
};

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet export"));
  LINNET_ASSIGN(ExportReport report, api->exportModel(options.write));
  LINNET_ASSIGN(CheckpointSummary made, api->inspectCheckpoint(options.write.output));
  if (options.json)
    printJson({{"output", options.write.output},
               {"format", made.format},
               {"parameters", made.parameters},
               {"bytes", made.bytes},
               {"tokenizer", made.has_tokenizer},
               {"lost", report.lost}});
  else
    put("{}: {}, {} parameters, {}{}\n", options.write.output, made.format, countText(made.parameters),
        bytesText(made.bytes), made.has_tokenizer ? ", with the tokenizer" : "");
  for (const std::string &what : report.lost)
    note(fmt::format("{}: {} loses {}", options.write.output, made.format, what));
  return {};
}

} // namespace export_command

void addExport(CLI::App &app, Action &action) {
  using namespace export_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("export", "write a checkpoint for llama.cpp or transformers");
  command->group("Models");
  command->add_option("MODEL", options->write.input, "checkpoint directory or FILE.gguf")
      ->required()
      ->type_name("");
  command->add_option("--format", options->write.format, "gguf (one file) or safetensors (a directory)")
      ->required()
      ->check(CLI::IsMember({"gguf", "safetensors"}).description(""))
      ->type_name("NAME");
  command
      ->add_option("--dtype", options->write.dtype,
                   "f32, f16, bf16; gguf also q8_0, q4_0 (default: as they are)")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0", "q4_0"}).description(""))
      ->type_name("TYPE");
  addSettings(*command, options->write.settings);
  command->add_option("-o,--output", options->write.output, "file or directory to write")
      ->required()
      ->type_name("PATH");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet export model --format gguf --dtype f16 -o model.gguf"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
