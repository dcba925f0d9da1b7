// A language model or a classifier out of an artifact file.
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
  /// Target, or TARGET:ARGUMENT, that executes the model: "cpu". Empty: cpu if the artifact has it, else its
  /// first.
  std::string device = {};
  /// 0: what OMP_NUM_THREADS or the machine says.
  int threads = 0;
};

/// How a classifier's scores become probabilities, as transformers' text-classification pipeline does it.
enum class ProblemType : uint8_t {
  SingleLabel, ///< one label applies: a softmax
  MultiLabel,  ///< labels do not exclude each other: a sigmoid each
  Regression,  ///< scores are numbers and stay as they are
};

/// Numbers of the model that programs need; the whole configuration is configJson().
struct ModelConfig {
  int64_t n_layer = 0, n_head = 0, n_embd = 0, vocab_size = 0;
  int64_t n_positions = 0;       ///< what the model was made for
  int64_t context = 0;           ///< what the artifact was compiled for: capacity of the cache, in tokens
  int64_t max_batch = 0;         ///< most sequences at a time
  std::vector<TokenId> eos_ids;  ///< tokens that end a text; may be empty
  std::optional<TokenId> bos_id; ///< the token an empty text starts from
  /// A classifier's labels by number. Empty: the model continues texts.
  std::vector<std::string> labels = {};
  ProblemType problem_type = ProblemType::SingleLabel;
  /// Of a classifier that reads the last token's state: tokens of this id at a text's end do not count, as in
  /// transformers.
  std::optional<TokenId> pad_id = {};

  bool classifies() const { return !labels.empty(); }
};

struct LoadedModel; // inside the library

/// Immutable once loaded; copies share everything; may be used from several threads.
class LINNET_API Model {
public:
  /// Maps and checks the file, finds the device, and reserves one session's memory. Errors name the file: no
  /// artifact, truncated, damaged, of another version, neither a language model nor a classifier, no such
  /// target, not enough memory (both numbers).
  static Result<Model> load(const std::string &path, const LoadOptions &options = {});

  const std::string &path() const;
  const ModelConfig &config() const;
  /// config.json of the checkpoint.
  const std::string &configJson() const;
  /// How the checkpoint's generation_config.json says that texts are continued, and GenerateOptions' own
  /// defaults for what it leaves out. A program that wants these passes them to Session::generate.
  const GenerateOptions &generation() const;
  /// Absent where the checkpoint had no tokenizer files: ids in, ids out.
  const std::optional<Tokenizer> &tokenizer() const;
  /// Targets that the artifact has programs for.
  std::vector<std::string> targets() const;
  /// The one in use, as its device describes itself.
  std::string device() const;
  DeviceKind deviceKind() const;
  /// Of one session.
  MemoryUse memory() const;

  /// For Session.
  const std::shared_ptr<LoadedModel> &loaded() const { return state; }

private:
  explicit Model(std::shared_ptr<LoadedModel> s) : state(std::move(s)) {}
  std::shared_ptr<LoadedModel> state;
};

} // namespace linnet
