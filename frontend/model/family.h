// A family of models: what its configuration, its tensors and its graph look like. One folder of frontend/
// each.
//
// The functions here know files and names. The graph is a function of its own (graph.h), so that this part
// needs no MLIR.
#pragma once
#include "frontend/model/description.h"

namespace linnet {

class JsonReader;
struct ConfigKeys; // config_keys.h

struct FamilyNames {
  const char *title;          ///< in errors: "GPT-2"
  const char *model_type;     ///< in config.json
  const char *gguf;           ///< general.architecture of GGUF, and what the keys there begin with
  const char *language_model; ///< transformers' classes
  const char *body;
  const char *classifier;
  const char *body_prefix; ///< of all tensors but the heads', in transformers: "transformer."

  const char *architecture(ModelTask task) const {
    return task == ModelTask::classifier ? classifier : task == ModelTask::body ? body : language_model;
  }
};

/// A key of GGUF's metadata, behind the architecture's name and a dot, and the key of config.json that says
/// the same.
struct GgufKey {
  const char *gguf, *config;
  bool is_number = false; ///< an f32, not an integer
};

/// A shape that `linnet init` makes.
struct Preset {
  const char *name;
  const char *hub; ///< OWNER/NAME of the published model of that name, or null
  ModelDescription description;
  bool byte_tokenizer = false; ///< its tokens are single bytes and the end of a text
};

class Family {
public:
  virtual ~Family() = default;

  virtual const FamilyNames &names() const = 0;

  // config.json
  /// The keys that read() knows. All others are checked by config_keys.h.
  virtual const ConfigKeys &keys() const = 0;
  /// Fills the sizes and `settings`, and the default of tie_word_embeddings. Returns the reader's error if it
  /// has one.
  virtual Result<void> read(JsonReader &reader, ModelDescription &description) const = 0;
  /// Adds the keys of read().
  virtual void write(const ModelDescription &description, Json &json) const = 0;

  // Tensors
  /// In the order of the layers. The head's matrix, if the family has one, is among them even where it is
  /// tied.
  virtual std::vector<TensorSpec> tensors(const ModelDescription &description) const = 0;
  /// Whether files may hold this tensor, by canonical name, and no computation reads it.
  virtual bool isUnused(std::string_view name) const = 0;

  // GGUF
  virtual const std::vector<GgufKey> &ggufKeys() const = 0;
  /// Keys of config.json whose values GGUF does not name, since llama.cpp computes in this way only.
  virtual Json impliedByGguf() const = 0;
  /// Why llama.cpp would compute the model differently; empty if it does not.
  virtual std::string notInGguf(const ModelDescription &description) const = 0;

  virtual std::vector<Preset> presets() const = 0;
};

/// All families. The first one also reads a config.json that names neither model_type nor architectures.
const std::vector<const Family *> &families();
/// The presets of all families.
std::vector<Preset> presets();
/// OWNER/NAME on the hub of a published model that has a preset's name; else empty.
std::string hubNameOf(std::string_view name);
/// For registerFamily() (graph.h), which knows the graph, too.
void addFamily(const Family &family);

} // namespace linnet
