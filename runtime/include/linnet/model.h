// A language model or a classifier that is loaded from an artifact file.
//
//   auto model = linnet::Model::load("model.linnet");          // Result<Model>
//   if (!model) return fail(model.error().message);
//   auto session = linnet::Session::open(*model);             // linnet/session.h
#pragma once
#include "linnet/api.h"
#include "linnet/device_kind.h"
#include "linnet/generate_options.h"
#include "linnet/memory_use.h"
#include "linnet/tokenizer.h"
#include "support/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

struct LoadOptions {
  /// The target that executes the model, TARGET or TARGET:ARGUMENT ("cpu", "vulkan:1"). Empty: cpu if the
  /// artifact has it, else its first target.
  std::string device = {};
  /// Number of threads. 0: OMP_NUM_THREADS, else one per core.
  int threads = 0;
};

/// The function from a classifier's scores to probabilities, as in transformers' text-classification
/// pipeline.
enum class ProblemType : uint8_t {
  SingleLabel, ///< exactly one label applies: softmax
  MultiLabel,  ///< labels do not exclude each other: sigmoid of each
  Regression,  ///< scores are results themselves
};

/// Sizes and tokens of the model. configJson() is the whole configuration.
struct ModelConfig {
  int64_t n_layer = 0, n_head = 0, n_embd = 0, vocab_size = 0;
  int64_t n_positions = 0;       ///< positions of the model, in tokens
  int64_t context = 0;           ///< capacity of the artifact's KV cache, in tokens
  int64_t max_batch = 0;         ///< most sequences in one call
  std::vector<TokenId> eos_ids;  ///< tokens that end a text; may be empty
  std::optional<TokenId> bos_id; ///< the token that begins a text
  /// A classifier's labels by number. Empty: the model is a language model.
  std::vector<std::string> labels = {};
  ProblemType problem_type = ProblemType::SingleLabel;
  /// For classifiers that read the last token's state: tokens of this id at a text's end are ignored, as in
  /// transformers.
  std::optional<TokenId> pad_id = {};

  bool classifies() const { return !labels.empty(); }
};

struct LoadedModel; // inside the library

/// Immutable and thread-safe after loading. Copies share all data.
class LINNET_API Model {
public:
  /// Maps and checks the file, opens the device, and reserves the memory of one session. Errors name the
  /// file: it is not an artifact, is truncated, damaged or of another version, is neither a language model
  /// nor a classifier, or lacks the target; or memory is insufficient (with both sizes).
  static Result<Model> load(const std::string &path, const LoadOptions &options = {});

  const std::string &path() const;
  const ModelConfig &config() const;
  /// config.json of the checkpoint.
  const std::string &configJson() const;
  /// The settings of the checkpoint's generation_config.json, with GenerateOptions' defaults for missing
  /// ones. Session::generate uses them only if the caller passes them.
  const GenerateOptions &generation() const;
  /// Absent if the checkpoint had no tokenizer files; the model then reads and writes ids.
  const std::optional<Tokenizer> &tokenizer() const;
  /// The targets that the artifact has programs for.
  std::vector<std::string> targets() const;
  /// Description of the device in use: "cpu, 2 threads".
  std::string device() const;
  DeviceKind deviceKind() const;
  /// Memory of one session.
  MemoryUse memory() const;

  /// For Session.
  const std::shared_ptr<LoadedModel> &loaded() const { return state; }

private:
  explicit Model(std::shared_ptr<LoadedModel> s) : state(std::move(s)) {}
  std::shared_ptr<LoadedModel> state;
};

} // namespace linnet
