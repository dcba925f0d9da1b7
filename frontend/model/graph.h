// A model as a module in the `linnet` dialect. Entries, cache, heads and loss are the same for all families;
// each family adds the part from the tokens to the last hidden state.
//
// Each entry takes ids (batch, seq), past (batch), length (batch) and the KV cache. `past` is the number of
// cached tokens of each sequence. `length` is the number of valid ids of each row, which is padded on the
// right. The cache is the states "k.N" and "v.N" of shape (batch, key heads, context, head size). The entry
// returns its outputs and the states. The same graph serves prefill and decode.
#pragma once
#include "frontend/model/description.h"
#include "frontend/model/rotary.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <string>
#include <vector>

namespace linnet {

/// A function and its outputs:
///   "token"         (batch)               argmax of the last position's logits, i32
///   "logits"        (batch, vocab)        of the last position
///   "all_logits"    (batch, seq, vocab)   returned under the name "logits"
///   "hidden"        (batch, seq, n_embd)  "hidden.0" (embeddings), "hidden.1" .. "hidden.N" (after each
///                                         block), and the last norm's output under that norm's name
///   "pooled.last", "pooled.mean", "pooled.first"  (batch, n_embd) of the last norm
///   "scores"        (batch, labels)       of a classifier
/// A training function has the only output "loss": the cross entropy of each position with labels
/// (batch, seq). For a classifier it is that of each row with labels (batch), and the function also returns
/// "logits" (batch, labels). It has no cache and takes ids, labels and, for a classifier, length.
struct EntrySpec {
  std::string name;
  std::vector<std::string> outputs;
  int64_t max_seq = 0; ///< bound of seq; longer inputs are fed in chunks
  /// With the output "loss" of a classifier: only its head, on embeddings x (batch, n_embd) instead of ids.
  bool features = false;
  /// With the output "loss": the dropout rate of embeddings and of what each block adds to the residual
  /// stream. If it is not 0, the function also takes "seed" (2), the key of dropout.
  float dropout = 0;
};

struct GraphOptions {
  int64_t max_batch = 1;
  int64_t max_context = 0;        ///< capacity of the cache; 0: defaultContext()
  std::vector<EntrySpec> entries; ///< empty: defaultEntries
};

/// How attention scores its keys: see linnet.attention.
struct AttentionForm {
  double scale;
  int64_t window = 0; ///< 0: all keys before the query
  double cap = 0;     ///< 0: none
};

/// Builds the ops that families share, in one entry function. Shapes: B batch, T seq, C n_embd.
class GraphBuilder {
public:
  GraphBuilder(mlir::ModuleOp module, const ModelDescription &model, const EntrySpec &spec,
               int64_t most_positions);

  const ModelDescription &model;
  mlir::ImplicitLocOpBuilder b;

  /// Sets the module path of the following ops: "blocks.3.attn". Each function below that takes a name sets
  /// it, too.
  void at(const std::string &module_path);
  /// A weight by its canonical name.
  mlir::Value param(const std::string &name, mlir::ArrayRef<int64_t> shape);
  /// The ids (B, T), i32.
  mlir::Value ids() const { return tokens; }
  /// The position of each token, (B, T). The caller ensures that texts have at most `limit` tokens.
  mlir::Value positions(int64_t limit);
  /// Rows of the table `name`.weight.
  mlir::Value embed(const std::string &name, int64_t rows, mlir::Value numbers);
  mlir::Value layerNorm(mlir::Value x, const std::string &name, double epsilon);
  /// x times `name`.weight [in, out], and `name`.bias.
  mlir::Value linear(mlir::Value x, const std::string &name, int64_t in, int64_t out);
  /// x times the transpose of `name`.weight [out, in], plus `name`.bias if `bias`.
  mlir::Value project(mlir::Value x, const std::string &name, int64_t in, int64_t out, bool bias);
  /// project() of all `parts` (name and columns) as one matmul, side by side. Its matrix is a weight function, which
  /// the compiler computes. Not in training, where each part is a parameter of its own.
  mlir::Value projectTogether(mlir::Value x, const std::string &name, int64_t in,
                              mlir::ArrayRef<std::pair<const char *, int64_t>> parts, bool bias);
  bool training() const { return trains; }
  /// RMS norm with the gain `name`.weight (width); 1 + `name`.weight if `gain_from_one`.
  mlir::Value rmsNorm(mlir::Value x, const std::string &name, double epsilon, int64_t width,
                      bool gain_from_one);
  /// The table of linnet.rotary for all positions that a text may have. Equal tables are one.
  mlir::Value rotaryTable(const Rotary &rotary, int64_t head_size);
  mlir::Value rotary(mlir::Value x, mlir::Value table, mlir::Value positions);
  /// x times `factor`.
  mlir::Value scaled(mlir::Value x, double factor);
  /// cap tanh(x / cap)
  mlir::Value capped(mlir::Value x, double cap);
  /// The most positions of a text in this module.
  int64_t mostPositions() const { return most_positions; }
  /// x times the transpose of the matrix `weight` [vocabulary, width].
  mlir::Value head(mlir::Value x, const std::string &weight);
  mlir::Value activate(mlir::Value x, const std::string &name, ActivationFunction function);
  /// x with dropout in training, else x. Each call uses a separate random stream.
  mlir::Value dropped(mlir::Value x);
  /// count * size columns of x from `first` on, as (B, T, count, size).
  mlir::Value heads(mlir::Value x, int64_t first, int64_t count, int64_t size);
  /// Causal attention of block `block` with its cache. q, k and v have the shape of heads(), k and v with keyHeads()
  /// heads. The result is (B, T, n_head * head size).
  mlir::Value attention(mlir::Value q, mlir::Value k, mlir::Value v, int64_t block, const AttentionForm &form,
                        const std::string &name);

private:
  friend class EntryBuilder;
  /// A param that the weight function `name` computes. `build` makes the body if there is no such function yet.
  mlir::Value computed(const std::string &name, mlir::RankedTensorType type,
                       llvm::function_ref<mlir::Value()> build);
  const EntrySpec &spec;
  mlir::Type f32;
  bool trains;
  int64_t stream = 0;
  const int64_t most_positions;
  mlir::ModuleOp module;
  /// Arguments of the entry; null if it does not have them.
  mlir::Value tokens, past, length, labels, features, seed;
  mlir::SmallVector<mlir::Value> states; // k.0, v.0, k.1, ...
};

/// A family's part of a graph.
struct GraphParts {
  std::vector<mlir::Value> hidden;                ///< (B, T, C) each: the embeddings, and each block's output
  std::string norm_name;                          ///< module path of the last norm
  std::function<mlir::Value(mlir::Value)> norm;   ///< the last norm, on (B, T, C) or (B, C)
  std::function<mlir::Value(mlir::Value)> logits; ///< the language model's head, on the result of `norm`
};
using BuildGraph = GraphParts (*)(GraphBuilder &builder);
/// Adds a family at run time, for a library that is loaded with the compiler.
void registerFamily(const Family &family, BuildGraph build);

/// The default entries: generate {logits, token}, score {all_logits}, hidden {hidden}. For a classifier:
/// classify {scores}, embed {the pooled output that its head reads}, hidden.
std::vector<EntrySpec> defaultEntries(const ModelDescription &model, int64_t max_context);

/// Builds the module. Weights are linnet.param with canonical names. The context must have loaded the
/// dialect. Locations name the original module path ("blocks.3.attn.qkv"). The caller ensures that
/// max_context <= n_positions.
mlir::OwningOpRef<mlir::ModuleOp> buildGraph(mlir::MLIRContext &context, const ModelDescription &model,
                                             const GraphOptions &options);

} // namespace linnet
