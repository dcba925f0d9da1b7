// A family of models: its configuration, tensors and graph. Each family has a folder in frontend/.
//
// The functions here handle files and names. The graph is a separate function (graph.h), so this part needs
// no MLIR.
#pragma once
#include "frontend/model/description.h"

namespace linnet {

class JsonReader;
struct ConfigKeys; // config_keys.h

struct FamilyNames {
  const char *title;      ///< name in errors: "GPT-2"
  const char *model_type; ///< value in config.json
  const char *gguf; ///< GGUF's general.architecture, and the prefix of the keys there; null: it has none
  const char *language_model; ///< transformers' classes
  const char *body;
  const char *classifier;
  const char *body_prefix; ///< transformers' prefix of all tensors except those of heads: "transformer."

  const char *architecture(ModelTask task) const {
    return task == ModelTask::classifier ? classifier : task == ModelTask::body ? body : language_model;
  }
};

/// A key of GGUF's metadata, without the architecture's name and dot, and the equivalent key of config.json.
struct GgufKey {
  const char *gguf;
  const char *config;     ///< a key, or a JSON pointer ("/rope_parameters/rope_theta")
  bool is_number = false; ///< f32 instead of integer
  bool optional = false;  ///< the file may lack it

  /// The place of the value in config.json.
  std::string pointer() const { return (config[0] == '/' ? "" : "/") + std::string(config); }
};

/// A shape that `linnet init` makes.
struct Preset {
  const char *name;
  const char *hub; ///< OWNER/NAME of the published model of that name, or null
  ModelDescription description;
  bool byte_tokenizer = false; ///< its tokens are the single bytes and the end of a text
};

class Family {
public:
  virtual ~Family() = default;

  virtual const FamilyNames &names() const = 0;

  // config.json
  /// The keys that read() knows. All others are checked by config_keys.h.
  virtual const ConfigKeys &keys() const = 0;
  /// Sets the sizes, `settings` and the default of tie_word_embeddings. Returns the reader's error, if any.
  virtual Result<void> read(JsonReader &reader, ModelDescription &description) const = 0;
  /// Adds the keys of read().
  virtual void write(const ModelDescription &description, Json &json) const = 0;

  // Tensors
  /// All tensors in the order of the layers. They include the head's matrix, if the family has one, even if
  /// it is tied.
  virtual std::vector<TensorSpec> tensors(const ModelDescription &description) const = 0;
  /// Whether the tensor of this canonical name may be in files although no computation reads it.
  virtual bool isUnused(std::string_view name) const = 0;

  // GGUF
  virtual const std::vector<GgufKey> &ggufKeys() const = 0;
  /// Keys of config.json that GGUF does not store, with the only values that llama.cpp supports.
  virtual Json impliedByGguf() const = 0;
  /// Why llama.cpp would compute the model differently; empty if it would not.
  virtual std::string notInGguf(const ModelDescription &description) const = 0;

  virtual std::vector<Preset> presets() const = 0;
};

/// All families. The first one also reads a config.json that names neither model_type nor architectures.
const std::vector<const Family *> &families();
/// The presets of all families.
std::vector<Preset> presets();
/// OWNER/NAME on the hub of the published model that has a preset's name; else empty.
std::string hubNameOf(std::string_view name);
/// Called by registerFamily() (graph.h), which also registers the graph.
void addFamily(const Family &family);

} // namespace linnet
