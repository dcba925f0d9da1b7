// What liblinnet_compiler.so offers to a program that opens it with dlopen: one function that returns a
// table. No MLIR here, so that the driver includes this and links only the runtime.
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
  /// KEY=VALUE each, in the place of what a checkpoint's config.json says; VALUE is JSON, or else text.
  std::vector<std::string> settings;
  /// The artifact to write. Ignored by compileCached.
  std::string output;
  /// One program each: "cpu" (every instruction-set level), "cpu:native" (this machine's), "vulkan",
  /// "vulkan:native" (for the device that --device vulkan takes here), "reference".
  std::vector<std::string> targets = {"cpu"};
  /// Largest number of positions (prompt and continuation) and of sequences at a time. 0: the model's
  /// n_positions and 1. For .mlir: linnet.bounds in the file say it, and these must stay 0.
  int64_t max_context = 0, max_batch = 0;
  /// For .mlir: the safetensors file that holds its params.
  std::string weights;
  /// How weights are stored: f32 (as they are), bf16, f16, int8 (a scale a column), int4 (groups of 32), or
  /// auto: the fastest (of int4, int8, bf16, f16 and f32, in the target's order) whose mean divergence from
  /// f32 is at most max_divergence, in nats a token, on the text `calibration` (empty: one of our own); for
  /// language models.
  std::string dtype = "f32";
  double max_divergence = 1e-3;
  std::string calibration;
  /// How the KV cache is stored: f32, bf16, f16, or auto: f32 beside weights in f32, else f16.
  std::string kv_cache = "auto";
  /// 0: what correctness needs; 1: fusion, layouts, memory reuse; 2: the same and what is
  /// computed less often or in a better order.
  int opt_level = 2;
  /// Names of passes to leave out ("linnet-fuse-epilogue"), of first_passes too; an unknown name is an error.
  std::vector<std::string> disabled_passes;
  /// Instead of the default pipeline, in mlir-opt's syntax. What it leaves unplanned is planned after it.
  std::string pass_pipeline;
  /// Runs before the pipeline, default or not, in mlir-opt's syntax.
  std::string first_passes;
  /// Shared libraries that register passes (MLIR's pass plugins): their passes can be named above.
  std::vector<std::string> pass_plugins;
  /// Runs the module in the interpreter after every pass, on inputs drawn from `seed`, and refuses to compile
  /// when a pass changes the numbers, naming the pass. Weights that would hide a fault are drawn for it.
  bool verify_passes = false;
  uint64_t seed = 0;
  /// The difference that is taken for rounding, of an output's largest value; 0: as much as the types of the
  /// numbers round.
  double tolerance = 0;
  /// Text of a stage for `output` instead of an artifact: "mlir" (the graph before the first pass), "planned"
  /// (after the last one), "llvm" (the kernels of target cpu:native) or "spirv" (those of vulkan). One
  /// target.
  std::string emit;
  /// Called with what is being done now ("packing weights") and how much of it is done, 0 to 1.
  std::function<void(const std::string &what, double fraction)> progress;
  /// A folder to write the IR after each pass, graphs, memory plans and kernels to, as pictures and text; it
  /// must be new, empty, or hold an earlier dump only. Empty: nothing. Changes nothing of the artifact.
  std::string dump_dir;
};

struct PhaseTime {
  std::string name; ///< "read checkpoint", "linnet-fuse-epilogue", "lower cpu", ...
  double seconds;
};

struct EntryReport {
  std::string name;
  uint64_t arena_bytes, live_bytes; ///< activations as planned; the largest live set, their lower bound
  uint64_t io_bytes;
  uint64_t commands;
};

struct ProgramReport {
  std::string target;
  uint64_t weight_bytes, state_bytes, arena_bytes, io_bytes;
  /// What an Executable allocates or maps at load: the sum of the above.
  uint64_t peakBytes() const { return weight_bytes + state_bytes + arena_bytes + io_bytes; }
  std::vector<EntryReport> entries;
};

/// A type that `auto` tried, beside f32.
struct DtypeTrial {
  std::string dtype;
  double divergence = 0;           ///< mean, in nats a token
  int64_t same = 0, positions = 0; ///< where the likeliest token is the same, of so many
  std::string failure;             ///< why the weights cannot be stored so; then the rest says nothing
};

struct CompileReport {
  std::string output;
  uint64_t artifact_bytes = 0;    ///< of the file
  std::string dtype, kv_cache;    ///< asked for, or what `auto` chose
  std::vector<DtypeTrial> trials; ///< of `auto`
  std::vector<ProgramReport> programs;
  /// With verify_passes: how far each pass moved the numbers, relative to the largest of an output.
  std::vector<std::pair<std::string, double>> differences;
  std::vector<std::string>
      ignored_keys; ///< of config.json: not the family's, and without effect on the numbers
  std::vector<std::string> overridden; ///< a line for each of CompileOptions::settings that changed something
  std::vector<std::string> notes;      ///< a line each: what the input asks for and does not get
  std::vector<PhaseTime> phases;       ///< in the order they ran; passes of the pipelines by name
  double seconds = 0;
  bool from_cache = false; ///< compileCached found it: only output and artifact_bytes are set
};

/// What linnet bisect found, or that it found nothing.
struct BisectReport {
  bool found = false;
  std::string kind; ///< "pass", or "target" where the passes are right and the target computes something else
  std::string fault; ///< one line: what differs in the whole model
  uint64_t passes = 0;
  std::string pass; ///< its name; it is number pass_number of `passes`
  uint64_t pass_number = 0;
  /// The change that makes the fault: the pattern (or the pass's own name for it), the op it was applied to
  /// and its place, and which of the pass's tries it was. Empty where the pass makes no changes of its own
  /// that can be left out one by one.
  std::string rewrite, op, location;
  int64_t application = 0, applications = 0;
  std::string reduced_fault;         ///< as the smallest graph shows it
  std::string graph_file;            ///< that graph, in the dialect
  std::string weights_file;          ///< its params, if it has any left
  int64_t ops = 0, trials = 0;       ///< in that graph; graphs that were tried
  std::vector<std::string> places;   ///< of its ops in the original graph
  std::vector<std::string> commands; ///< of kind "target": what ran there
  std::string repeat;                ///< a command line that shows it again
  double seconds = 0;
};

struct TensorSummary {
  std::string name, dtype;
  std::vector<int64_t> shape;
  uint64_t bytes;
  // Of a checkpoint's tensor:
  TensorRole role = TensorRole::weight;
  int64_t block = -1;
  std::string exported = {}; ///< its name in the safetensors files that Linnet writes
};
struct CheckpointSummary {
  std::string format; ///< "safetensors", "pytorch", "gguf"
  std::string config; ///< config.json, canonical, indented
  std::vector<std::string>
      ignored_keys; ///< of config.json: not the family's, and without effect on the numbers
  std::string
      generation; ///< how texts are continued: keys of generation_config.json, indented; empty: not said
  std::vector<std::string> ignored; ///< settings of generation that Linnet does not have: "num_beams 4"
  std::vector<int64_t> end_tokens;  ///< that end a text, as the configuration names them; may be empty
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
  std::string
      dtype; ///< "f32", "f16", "bf16", for gguf also "q8_0", "q4_0"; empty: as the checkpoint has them
};
struct GraphPort {
  std::string name, type; ///< "x", "f32 [batch, 3]"
};
struct GraphEntry {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> bounds; ///< of the dynamic dimensions of its ports
  std::vector<GraphPort> inputs, outputs, states;
  std::vector<std::pair<std::string, uint64_t>> ops; ///< how many of each kind, the most frequent first
};
/// An .mlir file in the dialect.
struct GraphSummary {
  uint64_t parameters = 0, bytes = 0; ///< elements of all parameters, and their bytes in the graph's types
  std::vector<TensorSummary> params;
  std::vector<GraphEntry> entries;
  std::string module; ///< the text as MLIR prints it
};
struct ExportReport {
  std::vector<std::string> lost; ///< what the file cannot hold of the checkpoint, a line each
};
struct InitOptions {
  std::string preset; ///< one of CompilerApi::presets()
  /// Instead of a preset: a config.json.
  std::string config;
  /// Longest text of a preset, in tokens; 0: the preset's own.
  int64_t positions = 0;
  /// A directory whose tokenizer goes with the model and says its vocab_size. Empty: none (tiny has its own).
  std::string tokenizer;
  std::vector<std::string> labels; ///< a classifier of these; empty: a language model
  std::string directory;
  uint64_t seed = 0;
  bool to_train = false; ///< biases are 0 and gains 1, not near them
};
struct PullOptions {
  std::string model;     ///< OWNER/NAME
  std::string directory; ///< empty: the Hugging Face cache's place
  std::function<void(const std::string &file, uint64_t done, uint64_t total)> progress;
};

/// What a training begins with, as a checkpoint in f32: a copy of a language model, or a classifier made from
/// one, its head drawn at random where the input has no such head for these labels.
struct StartOptions {
  std::string input, directory;    ///< `directory` exists
  std::vector<std::string> labels; ///< empty: a language model
  std::string pooling = "last";    ///< mean, first
  std::vector<int64_t> hidden;     ///< widths of the head's hidden layers
  std::string activation = "gelu"; ///< of them, as activation_function names it
  uint64_t seed = 0;
};
/// A checkpoint with trained parameters in the place of its own.
struct TrainedOptions {
  std::string input;      ///< the checkpoint that the training began with
  std::string parameters; ///< safetensors with "param.NAME"
  std::string directory;  ///< exists
  std::string dtype = "f32";
  bool as_language_model = false; ///< of a classifier: without its head
};

struct TrainedParameter {
  std::string name; ///< of the checkpoint, exactly
  float lr_scale = 1, weight_decay = 0;
};
/// An artifact with the entries accumulate, evaluate, norm and update (linnet-autodiff in docs/passes.md).
/// What is trained is in states "param.NAME", to be written before the first step.
struct TrainingOptions {
  std::string input;   ///< a checkpoint, or an .mlir with a function @loss
  std::string weights; ///< for .mlir: the safetensors file that holds its params
  std::string output;
  std::string target = "cpu";
  /// "lm"; "classify": a classifier's checkpoint, whole; "features": its head alone, on embeddings
  std::string task = "lm";
  std::vector<TrainedParameter> trainable; ///< the others are frozen
  int64_t max_batch = 1, max_seq = 0;      ///< max_seq 0: n_positions
  std::string dtype = "f32"; ///< of the matmuls' operands: f32, or bf16 (sums and all else stay f32)
  float dropout = 0;         ///< rate; then entry accumulate takes "seed" (2), the key. Not with "features"
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float l2sp = 0; ///< strength of the pull towards states "start.NAME"
  std::function<void(const std::string &what, double fraction)> progress;
};

/// The target of a program that is to run at once on `device`, as --device names it: of the cpu, this
/// machine's instruction set alone.
inline std::string targetFor(const std::string &device) {
  return device == "cpu" ? "cpu:native" : device.substr(0, device.find(':'));
}

struct GradientOptions {
  std::string input, output; ///< a checkpoint, a .safetensors
  std::string device = "cpu";
  int threads = 0;
  std::string ids_name = "ids", labels_name = "labels"; ///< for errors: the files they come from
  std::vector<int64_t> ids_shape, labels_shape;         ///< (B, T) both; labels (B) for a classifier
  std::vector<int64_t> ids, labels;                     ///< a label of -100 does not count
  std::function<void(const std::string &what, double fraction)> progress;
};
struct GradientReport {
  double loss = 0;                     ///< mean over the labels that count
  uint64_t counted = 0, gradients = 0; ///< labels that count; tensors written
};

inline constexpr uint32_t kCompilerApiVersion = 10;
inline constexpr const char *kCompilerApiSymbol = "linnet_compiler_api";

struct CompilerApi {
  uint32_t version;
  const char *producer; ///< "linnet 0.1.0"
  Result<CompileReport> (*compile)(const CompileOptions &options);
  /// Compiles into ${LINNET_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/linnet}, or finds it there: keyed by the
  /// content of the checkpoint, the options and the compiler. report.output is the artifact.
  Result<CompileReport> (*compileCached)(const CompileOptions &options);
  Result<CheckpointSummary> (*inspectCheckpoint)(const std::string &path);
  Result<ExportReport> (*exportModel)(const ExportOptions &options);
  Result<void> (*initModel)(const InitOptions &options);
  /// The directory that now holds the model.
  Result<std::string> (*pullModel)(const PullOptions &options);
  /// Makes the runtime know the devices that live here: "reference".
  void (*registerDevices)();
  /// A checkpoint's tokenizer (also a .gguf's, from its metadata) as Tokenizer::serialize() writes it; empty
  /// if it has none.
  Result<std::vector<std::byte>> (*readTokenizer)(const std::string &path);
  /// Removes the files and directories that this library is writing: for the handler of an interrupt.
  /// Async-signal-safe.
  void (*removeUnfinishedFiles)();
  /// Passes that CompileOptions::disabled_passes may name, each once, in the order they run: the first
  /// passes, then those of the default pipeline for the target and level. One target.
  Result<std::vector<std::string>> (*optionalPasses)(const CompileOptions &options);
  /// Looks for the pass, or the kernels, that change a model's numbers: as compile() would with these options
  /// (one target), which writes to options.output a graph that shows it. Nothing is written when all is
  /// right.
  Result<BisectReport> (*bisect)(const CompileOptions &options);
  Result<void> (*makeStart)(const StartOptions &options);
  Result<void> (*writeTrained)(const TrainedOptions &options);
  Result<CompileReport> (*compileTraining)(const TrainingOptions &options);
  /// Loss and gradients of a whole model on one batch, into a file.
  Result<GradientReport> (*gradients)(const GradientOptions &options);
  Result<GraphSummary> (*inspectGraph)(const std::string &path);
  /// Names that InitOptions::preset may have.
  std::vector<std::string> (*presets)();
  /// OWNER/NAME on the hub of a published model that has a preset's name; else empty.
  std::string (*hubNameOf)(std::string_view name);
  /// An error unless `spec` ("cpu:native") is a target of this compiler. Lists the known ones.
  Result<void> (*checkTarget)(const std::string &spec);
};
using CompilerApiFunction = const CompilerApi *(*)();

} // namespace linnet
