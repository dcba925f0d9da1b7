// The interface of liblinnet_compiler.so for programs that open it with dlopen: one function that returns a
// table. It includes no MLIR, so the driver can include it and link only the runtime.
//
//   void *library = dlopen("liblinnet_compiler.so", RTLD_NOW | RTLD_LOCAL);
//   auto get = reinterpret_cast<linnet::CompilerApiFunction>(dlsym(library, linnet::kCompilerApiSymbol));
//   const linnet::CompilerApi *compiler = get();          // compiler->version == linnet::kCompilerApiVersion
//
// Driver and library are built together: std::string and Result cross the boundary.
#pragma once
#include "frontend/model/tensor_spec.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet {

struct CompileOptions {
  /// A checkpoint directory, a .gguf, a .safetensors or pytorch_model.bin next to its config.json, or a .mlir
  /// in the dialect.
  std::string input;
  /// KEY=VALUE texts that replace values of a checkpoint's config.json. VALUE is JSON, or else text.
  std::vector<std::string> settings;
  /// The artifact to write. Ignored by compileCached.
  std::string output;
  /// One program is compiled for each: "cpu" (every instruction-set level), "cpu:native" (this machine's
  /// level), "vulkan", "vulkan:native" (for the device that --device vulkan takes here), "reference".
  std::vector<std::string> targets = {"cpu"};
  /// Whether programs for the cpu may call oneDNN. If false, they run where the library is not installed.
  bool onednn = true;
  /// Largest number of positions (prompt and continuation) and of sequences at a time. 0: the model's
  /// positions, at most 4096, and 1. For .mlir, the file's linnet.bounds define both, and these must be 0.
  int64_t max_context = 0, max_batch = 0;
  /// For .mlir: the safetensors file with its params.
  std::string weights;
  /// Type of weights: f32 (unchanged), bf16, f16, int8 (one scale per column), int4 (groups of 32), int4a (the
  /// same with a minimum for each group), keep (as a GGUF file with quantized weights stores them), or auto. Empty:
  /// keep for such a file, otherwise f32.
  /// For auto, the types are tried from the fastest on, in the target's order. The first one is taken whose
  /// mean divergence from f32 is at most max_divergence, in nats per token, on the text `calibration` (empty:
  /// a built-in text). auto is for language models only.
  std::string dtype;
  double max_divergence = 1e-3;
  std::string calibration;
  /// Type of the KV cache: f32, bf16, f16, or auto (f32 if the weights are f32, else f16).
  std::string kv_cache = "auto";
  /// 0: only what correctness needs. 1: fusion, layouts, memory reuse. 2: also passes that compute less or
  /// reorder ops.
  int opt_level = 2;
  /// Names of passes to leave out ("linnet-fuse-epilogue"), also from first_passes. An unknown name is an
  /// error.
  std::vector<std::string> disabled_passes;
  /// Replaces the default pipeline, in mlir-opt's syntax. The planning passes run after it.
  std::string pass_pipeline;
  /// Passes before either pipeline, in mlir-opt's syntax.
  std::string first_passes;
  /// Shared libraries that register passes (MLIR's pass plugins), which the options above may name.
  std::vector<std::string> pass_plugins;
  /// Runs the module in the interpreter after every pass, on inputs drawn from `seed`. If a pass changes the
  /// numbers, the error names it. Weights that would hide a fault are replaced by drawn ones for this.
  bool verify_passes = false;
  uint64_t seed = 0;
  /// Allowed difference, as a fraction of an output's largest value. 0: bounds derived from the types of the
  /// numbers.
  double tolerance = 0;
  /// Writes the text of one stage to `output` instead of an artifact: "mlir" (the graph before the first
  /// pass), "planned" (after the last one), "llvm" (the kernels of target cpu:native) or "spirv" (those of
  /// vulkan). Needs exactly one target.
  std::string emit;
  /// The file that keeps the input of a pass that crashes. Empty: `output` with .crash.mlir added.
  std::string crash_file;
  /// Called with the current activity ("packing weights") and its finished fraction, 0 to 1.
  std::function<void(const std::string &what, double fraction)> progress;
  /// A folder for the IR after each pass, graphs, memory plans and kernels. It must be new, empty, or hold
  /// only an earlier dump. Empty: no dump. Does not change the artifact.
  std::string dump_dir;
};

struct PhaseTime {
  std::string name; ///< "read checkpoint", "linnet-fuse-epilogue", "lower cpu", ...
  double seconds;
};

struct EntryReport {
  std::string name;
  uint64_t arena_bytes, live_bytes; ///< planned activations; the largest live set, their lower bound
  uint64_t io_bytes;
  uint64_t commands;
};

struct ProgramReport {
  std::string target;
  uint64_t weight_bytes, state_bytes, arena_bytes, io_bytes;
  /// Bytes that an Executable allocates or maps at load.
  uint64_t peakBytes() const { return weight_bytes + state_bytes + arena_bytes + io_bytes; }
  std::vector<EntryReport> entries;
};

/// A type other than f32 that `auto` tried.
struct DtypeTrial {
  std::string dtype;
  double divergence = 0;           ///< mean, in nats per token
  int64_t same = 0, positions = 0; ///< `same` of `positions` have the same likeliest token
  std::string failure;             ///< why the weights cannot have this type; the other fields are then unset
};

struct CompileReport {
  std::string output;
  uint64_t artifact_bytes = 0;    ///< size of the file
  std::string dtype, kv_cache;    ///< as requested, or as `auto` chose
  std::vector<DtypeTrial> trials; ///< trials of `auto`
  std::vector<ProgramReport> programs;
  /// With verify_passes: by pass, the largest change of a number relative to the largest of its output.
  std::vector<std::pair<std::string, double>> differences;
  std::vector<std::string> ignored_keys; ///< unknown keys of config.json that have no effect on the numbers
  std::vector<std::string> overridden; ///< a line for each of CompileOptions::settings that changed something
  std::vector<std::string>
      notes; ///< a line for each setting of the input that is not supported, or that a default changes
  std::vector<PhaseTime> phases; ///< in execution order; passes of the pipelines by name
  double seconds = 0;
  bool from_cache = false; ///< compileCached found it: only output and artifact_bytes are set
};

/// The result of linnet bisect.
struct BisectReport {
  bool found = false;
  std::string kind;  ///< "pass", or "target" if all passes are right and the target computes other numbers
  std::string fault; ///< one line about the difference in the whole model
  uint64_t passes = 0;
  std::string pass; ///< name of the faulty pass, which is number pass_number of `passes`
  uint64_t pass_number = 0;
  /// The faulty change: the pattern (or the pass's name for it), the op it was applied to and its location,
  /// and its number among the pass's changes. Empty if the pass makes no changes that can be skipped one by
  /// one.
  std::string rewrite, op, location;
  int64_t application = 0, applications = 0;
  std::string reduced_fault;         ///< the fault in the smallest graph
  std::string graph_file;            ///< that graph, in the dialect
  std::string weights_file;          ///< its params, if it has any
  int64_t ops = 0, trials = 0;       ///< ops of that graph; graphs that were tried
  std::vector<std::string> places;   ///< locations of its ops in the original graph
  std::vector<std::string> commands; ///< for kind "target": the commands that ran there
  std::string repeat;                ///< a command line that shows the fault again
  double seconds = 0;
};

struct TensorSummary {
  std::string name, dtype;
  std::vector<int64_t> shape;
  uint64_t bytes;
  // For a checkpoint's tensor:
  TensorRole role = TensorRole::weight;
  int64_t block = -1;
  std::string exported = {}; ///< name in the safetensors files that Linnet writes
};
struct CheckpointSummary {
  std::string format;                    ///< "safetensors", "pytorch", "gguf"
  std::string config;                    ///< config.json, canonical, indented
  std::string metadata;                  ///< of a .gguf, about the model: indented JSON; may be empty
  std::vector<std::string> ignored_keys; ///< unknown keys of config.json that have no effect on the numbers
  std::string generation; ///< settings of generation_config.json, indented JSON; empty if there are none
  std::vector<std::string> ignored; ///< unsupported settings of generation: "num_beams 4"
  std::vector<int64_t> end_tokens;  ///< tokens of the configuration that end a text; may be empty
  int64_t positions = 0;            ///< the longest text, in tokens
  uint64_t parameters = 0, bytes = 0;
  bool has_tokenizer = false;
  std::vector<TensorSummary> tensors;
};

struct ExportOptions {
  std::string input;                 ///< a checkpoint
  std::vector<std::string> settings; ///< as CompileOptions::settings
  std::string format;                ///< "gguf", "safetensors"
  std::string output;                ///< the .gguf, or the directory
  std::string dtype; ///< "f32", "f16", "bf16", for gguf also "q8_0", "q4_0"; empty: the checkpoint's type
};
struct GraphPort {
  std::string name, type; ///< "x", "f32 [batch, 3]"
};
struct GraphEntry {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> bounds; ///< of the dynamic dimensions of its ports
  std::vector<GraphPort> inputs, outputs, states;
  std::vector<std::pair<std::string, uint64_t>> ops; ///< number of ops by kind, the most frequent first
};
/// An .mlir file in the dialect.
struct GraphSummary {
  uint64_t parameters = 0, bytes = 0; ///< elements of all parameters, and their bytes in the graph's types
  std::vector<TensorSummary> params;
  std::vector<GraphEntry> entries;
  std::string module; ///< the text as MLIR prints it
};
struct ExportReport {
  std::vector<std::string> lost; ///< a line for each setting of the checkpoint that the file cannot hold
};
struct InitOptions {
  std::string preset; ///< one of CompilerApi::presets()
  /// A config.json instead of a preset.
  std::string config;
  /// Longest text of a preset, in tokens; 0: the preset's value.
  int64_t positions = 0;
  /// A directory with the model's tokenizer, which defines vocab_size. Empty: no tokenizer (tiny has one).
  std::string tokenizer;
  std::vector<std::string> labels; ///< labels of a classifier; empty: a language model
  std::string directory;
  uint64_t seed = 0;
  bool to_train = false; ///< biases are exactly 0 and gains exactly 1
};
struct PullOptions {
  std::string model;     ///< OWNER/NAME
  std::string directory; ///< empty: a folder of the Hugging Face cache
  std::function<void(const std::string &file, uint64_t done, uint64_t total)> progress;
};

/// The starting checkpoint of a training, in f32: a copy of a language model, or a classifier made from one.
/// The head is drawn at random if the input has no such head for these labels.
struct StartOptions {
  std::string input, directory;    ///< `directory` must exist
  std::vector<std::string> labels; ///< empty: a language model
  std::string pooling = "last";    ///< last, mean or first
  std::vector<int64_t> hidden;     ///< widths of the head's hidden layers
  std::string activation = "gelu"; ///< activation_function of the hidden layers
  uint64_t seed = 0;
};
/// A checkpoint with its parameters replaced by trained ones.
struct TrainedOptions {
  std::string input;      ///< the starting checkpoint of the training
  std::string parameters; ///< safetensors with "param.NAME"
  std::string directory;  ///< must exist
  std::string dtype = "f32";
  bool as_language_model = false; ///< drops a classifier's head
};

struct TrainedParameter {
  std::string name; ///< canonical name in the checkpoint
  float lr_scale = 1, weight_decay = 0;
};
/// An artifact with the entries accumulate, evaluate, norm and update (linnet-autodiff in docs/passes.md).
/// The trained parameters are states "param.NAME", which must be written before the first step.
struct TrainingOptions {
  std::string input;   ///< a checkpoint, or an .mlir with a function @loss
  std::string weights; ///< for .mlir: the safetensors file with its params
  std::string output;
  std::string target = "cpu";
  bool onednn = true; ///< as CompileOptions::onednn
  /// "lm"; "classify": a whole classifier; "features": only its head, on embeddings
  std::string task = "lm";
  std::vector<TrainedParameter> trainable; ///< the others are frozen
  int64_t max_batch = 1, max_seq = 0;      ///< max_seq 0: n_positions
  std::string dtype = "f32"; ///< type of the matmuls' operands: f32 or bf16; everything else stays f32
  float dropout = 0;         ///< rate; then entry accumulate takes "seed" (2), the key. Not with "features"
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float l2sp = 0; ///< strength of the penalty that pulls towards states "start.NAME"
  std::function<void(const std::string &what, double fraction)> progress;
};

/// The target for a program that will run on `device` (as in --device) on this machine: cpu:native for the
/// cpu.
inline std::string targetFor(const std::string &device) {
  return device == "cpu" ? "cpu:native" : device.substr(0, device.find(':'));
}

struct GradientOptions {
  std::string input, output; ///< a checkpoint, a .safetensors
  std::string device = "cpu";
  bool onednn = true; ///< as CompileOptions::onednn
  int threads = 0;
  std::string ids_name = "ids", labels_name = "labels"; ///< their files, for errors
  std::vector<int64_t> ids_shape, labels_shape;         ///< both (B, T); labels (B) for a classifier
  std::vector<int64_t> ids, labels;                     ///< label -100 does not count
  std::function<void(const std::string &what, double fraction)> progress;
};
struct GradientReport {
  double loss = 0;                     ///< mean over the labels that count
  uint64_t counted = 0, gradients = 0; ///< labels that count; tensors written
};

inline constexpr uint32_t kCompilerApiVersion = 11;
inline constexpr const char *kCompilerApiSymbol = "linnet_compiler_api";

struct CompilerApi {
  uint32_t version;
  const char *producer; ///< "linnet 0.1.0"
  const char *llvm;     ///< version of the LLVM that it was built with: "19.1.7"
  Result<CompileReport> (*compile)(const CompileOptions &options);
  /// Compiles into ${LINNET_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/linnet}, or finds the artifact there. The
  /// key is a hash of the checkpoint's content, the options and the compiler. report.output is the artifact.
  Result<CompileReport> (*compileCached)(const CompileOptions &options);
  Result<CheckpointSummary> (*inspectCheckpoint)(const std::string &path);
  Result<ExportReport> (*exportModel)(const ExportOptions &options);
  Result<void> (*initModel)(const InitOptions &options);
  /// Downloads a model and returns its directory.
  Result<std::string> (*pullModel)(const PullOptions &options);
  /// Registers the devices of this library with the runtime: "reference".
  void (*registerDevices)();
  /// A checkpoint's tokenizer in the form of Tokenizer::serialize(), also from a .gguf's metadata; empty if
  /// it has none.
  Result<std::vector<std::byte>> (*readTokenizer)(const std::string &path);
  /// Removes the files and directories that this library is writing, for interrupt handlers.
  /// Async-signal-safe.
  void (*removeUnfinishedFiles)();
  /// Passes that CompileOptions::disabled_passes may name, without duplicates, in execution order: the first
  /// passes, then those of the default pipeline for the target and level. Needs exactly one target.
  Result<std::vector<std::string>> (*optionalPasses)(const CompileOptions &options);
  /// Finds the pass or the kernels that change a model's numbers if it is compiled with these options (one
  /// target). Writes a graph that shows the fault to options.output; writes nothing if there is none.
  Result<BisectReport> (*bisect)(const CompileOptions &options);
  Result<void> (*makeStart)(const StartOptions &options);
  Result<void> (*writeTrained)(const TrainedOptions &options);
  Result<CompileReport> (*compileTraining)(const TrainingOptions &options);
  /// Writes the loss and gradients of a whole model on one batch to a file.
  Result<GradientReport> (*gradients)(const GradientOptions &options);
  Result<GraphSummary> (*inspectGraph)(const std::string &path);
  /// The possible values of InitOptions::preset.
  std::vector<std::string> (*presets)();
  /// OWNER/NAME on the hub of the published model that has a preset's name; else empty.
  std::string (*hubNameOf)(std::string_view name);
  /// An error that lists the known targets unless `spec` ("cpu:native") is one.
  Result<void> (*checkTarget)(const std::string &spec);
};
using CompilerApiFunction = const CompilerApi *(*)();

} // namespace linnet
