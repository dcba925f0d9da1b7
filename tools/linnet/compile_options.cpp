#include "compile_options.h"
#include "arguments.h"

namespace linnet::cli {

void addSettings(CLI::App &command, std::vector<std::string> &settings) {
  command
      .add_option("--set", settings,
                  "a value in the place of what config.json says, as JSON or text; repeatable")
      ->allow_extra_args(false)
      ->check([](const std::string &text) {
        const size_t equals = text.find('=');
        return equals == std::string::npos || equals == 0 ? "expected KEY=VALUE, found '" + text + "'" : "";
      })
      ->type_name("KEY=VALUE");
}

void addOwnPassOptions(CLI::App &command, CompileOptions &options) {
  command
      .add_option("--first-passes", options.first_passes,
                  "passes to run in front of the pipeline, in mlir-opt's syntax")
      ->type_name("TEXT");
  command.add_option("--load-pass-plugin", options.pass_plugins, "a shared library with passes; repeatable")
      ->allow_extra_args(false)
      ->type_name("FILE.so");
}

void addPassOptions(CLI::App &command, CompileOptions &options, bool may_choose) {
  command
      .add_option("--max-context", options.max_context,
                  "most positions of a sequence (default: the model's, at most 4096)")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 24))
      ->type_name("N");
  command.add_option("--max-batch", options.max_batch, "most sequences at a time (default: 1)")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 16))
      ->type_name("N");
  std::vector<std::string> dtypes = {"f32", "bf16", "f16", "int8", "int4", "int4a", "keep"};
  if (may_choose) dtypes.push_back("auto");
  command
      .add_option("--dtype", options.dtype,
                  "how weights are stored (default: keep for a GGUF file with quantized weights, else f32)")
      ->check(CLI::IsMember(dtypes))
      ->type_name(fmt::format("{}", fmt::join(dtypes, "|")));
  if (may_choose) {
    command
        .add_option("--max-divergence", options.max_divergence,
                    "auto: most nats a token that the type may be off f32")
        ->check(numberIn(0.0, 1e6))
        ->type_name("X")
        ->capture_default_str();
    command.add_option("--calibration", options.calibration, "auto: a text to compare types on")
        ->type_name("FILE");
  }
  command
      .add_option("--kv-cache", options.kv_cache, "how the KV cache is stored; auto: f32 with f32, else f16")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "f16"}))
      ->type_name("auto|f32|bf16|f16")
      ->capture_default_str();
  command.add_option("-O", options.opt_level, "0: as written, 1: fused and laid out, 2: all passes")
      ->check(CLI::Range(0, 2))
      ->type_name("0|1|2")
      ->capture_default_str();
  addOneDnnOption(command, options.onednn);
  addSettings(command, options.settings);
  command.add_option("--weights", options.weights, "for FILE.mlir: the .safetensors with its parameters")
      ->type_name("FILE");
  command.add_option("--disable-pass", options.disabled_passes, "leave a pass out; repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME");
  command
      .add_option("--pass-pipeline", options.pass_pipeline, "instead of the default, in mlir-opt's syntax")
      ->type_name("TEXT");
  addOwnPassOptions(command, options);
  command.add_option("--seed", options.seed, "of the inputs that verifying draws")
      ->check(isSeed())
      ->type_name("N");
  command
      .add_option("--tolerance", options.tolerance,
                  "largest difference taken for rounding, of an output's largest value (default: derived)")
      ->check(numberIn(1e-300, 1e300))
      ->type_name("X");
}

} // namespace linnet::cli
