// What families of decoders with RMS norms, rotary positions and gated MLPs have in common.
// A family says which of these parts it has, and reads the settings that only it has.
#pragma once
#include "frontend/model/config_keys.h"
#include "frontend/model/family.h"
#include "frontend/model/rotary.h"

namespace linnet {

struct DecoderSettings : FamilySettings {
  int64_t intermediate = 0; ///< width of the MLP
  double epsilon = 1e-6;    ///< of all norms
  std::string hidden_act = "silu";
  ActivationFunction activation = ActivationFunction::silu;
  Rotary rotary, window_rotary; ///< of layers without and with a window
  std::vector<int64_t> windows; ///< of each layer: the keys that a query sees; 0: all before it
  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool head_norms = false;     ///< queries and keys are normalized per head: q_norm, k_norm
  bool sandwich_norms = false; ///< norms also after attention and MLP
  bool gain_from_one = false;  ///< norms multiply by 1 + weight
  double embedding_scale = 1;
  double attention_scale = 0;  ///< of q k; 0: 1 / sqrt(head size)
  bool paired_in_gguf = false; ///< GGUF has rows of queries and keys in pairs: TensorSpec::paired_heads
  double attention_cap = 0, logit_cap = 0; ///< x becomes cap tanh(x / cap); 0: it stays

  static const DecoderSettings &of(const ModelDescription &model) {
    return static_cast<const DecoderSettings &>(*model.settings);
  }
};

/// The keys of config.json that readDecoder() reads.
extern const std::set<std::string, std::less<>> kDecoderKeys;
/// Reads the sizes, the norms' epsilon, the activation (under the key `act`), and rotary positions. Requires n_head to
/// be a multiple of num_key_value_heads. The values in `model` and `settings` are the defaults.
void readDecoder(JsonReader &reader, ModelDescription &model, DecoderSettings &settings,
                 const char *act = "hidden_act");
/// The keys of readDecoder().
void writeDecoder(const ModelDescription &model, Json &json, const char *act = "hidden_act");
/// Sets `windows` from layer_types. If the file has none, layer i has the window if `usual(i)`. `window` 0: no layer
/// has one.
template <class Usual>
void readWindows(JsonReader &reader, const ModelDescription &model, DecoderSettings &settings, int64_t window,
                 Usual usual) {
  const std::vector<std::string> types = reader.texts("layer_types");
  if (!types.empty() && static_cast<int64_t>(types.size()) != model.n_layer)
    return reader.fail("layer_types", "a list with one entry for each layer");
  for (int64_t i = 0; i < model.n_layer; ++i) {
    bool has = usual(i);
    if (!types.empty()) {
      const std::string &type = types[static_cast<size_t>(i)];
      if (type != "full_attention" && type != "sliding_attention")
        return reader.fail("layer_types", "full_attention or sliding_attention for each layer");
      has = type == "sliding_attention";
      if (has && !window)
        return reader.fail("layer_types", "full_attention for each layer, as no window is set");
    }
    settings.windows.push_back(has ? window : 0);
  }
}
Json layerTypes(const DecoderSettings &settings);
/// Windows that layers from max_window_layers on have if use_sliding_window is set: keys sliding_window (default 4096),
/// max_window_layers (28), layer_types.
void readUpperWindows(JsonReader &reader, const ModelDescription &model, DecoderSettings &settings);
void writeUpperWindows(const DecoderSettings &settings, Json &json);

/// The window that layers have; 0: none has one.
int64_t widest(const DecoderSettings &settings);

/// The sizes of a published model, for presets.
struct DecoderShape {
  int64_t layers, heads, key_heads, width, positions, vocabulary;
  bool tied;
  std::optional<int64_t> bos;
  int64_t eos;
};
ModelDescription decoderShape(const Family &family, std::shared_ptr<const DecoderSettings> settings,
                              const DecoderShape &shape);

/// Whether old files store this buffer of rotary frequencies, which is computed from config.json.
bool isRotaryBuffer(std::string_view name);

/// `keys` and more.
inline std::set<std::string, std::less<>> with(std::set<std::string, std::less<>> keys,
                                               std::initializer_list<const char *> more) {
  keys.insert(more.begin(), more.end());
  return keys;
}

/// All tensors. Matrices are [out, in], as transformers' Linear stores them.
std::vector<TensorSpec> decoderTensors(const ModelDescription &model);
/// Why llama.cpp would compute the model differently; empty if it would not.
std::string decoderNotInGguf(const ModelDescription &model);

/// What the families of decoders answer alike about tensors and GGUF.
class DecoderFamily : public Family {
public:
  std::vector<TensorSpec> tensors(const ModelDescription &model) const override {
    return decoderTensors(model);
  }
  bool isUnused(std::string_view name) const override { return isRotaryBuffer(name); }
  const std::vector<GgufKey> &ggufKeys() const override;
  Json impliedByGguf() const override { return {{"hidden_act", "silu"}}; }
  std::string notInGguf(const ModelDescription &model) const override { return decoderNotInGguf(model); }
};

} // namespace linnet
