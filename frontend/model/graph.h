// A model as a module in the `linnet` dialect. Entries, cache, heads and loss are the same for all families;
// each family adds the part from the tokens to the last hidden state.
//
// Each entry takes ids (batch, seq), past (batch): tokens of each sequence already in the cache, and length
// (batch): how many of each row's ids count (rows are padded on the right); and the KV cache as states "k.N"
// and "v.N" of shape (batch, n_head, context, head size). It returns its outputs and the states. The same
// graph is prefill and decode.
#pragma once
#include "frontend/model/description.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <string>
#include <vector>

namespace linnet {

/// A function and what it returns:
///   "token"         (batch)               argmax of the last position's logits, i32
///   "logits"        (batch, vocab)        of the last position
///   "all_logits"    (batch, seq, vocab)   returned under the name "logits"
///   "hidden"        (batch, seq, n_embd)  "hidden.0" (embeddings), "hidden.1" .. "hidden.N" (after each
///                                         block), and last what the last norm gives, under that norm's name
///   "pooled.last", "pooled.mean", "pooled.first"  (batch, n_embd) of the last norm
///   "scores"        (batch, labels)       of a classifier
/// Or, alone, for training: "loss", the cross entropy of each position against labels (batch, seq), or of
/// each row against labels (batch) of a classifier, which also returns "logits" (batch, labels). Such a
/// function has no cache and takes ids, labels and, of a classifier, length.
struct EntrySpec {
  std::string name;
  std::vector<std::string> outputs;
  int64_t max_seq = 0; ///< bound of seq; longer inputs come in chunks
  /// With the output "loss", of a classifier: its head alone, on embeddings x (batch, n_embd) instead of ids.
  bool features = false;
  /// With the output "loss": the rate at which embeddings and what each block adds lose elements. The
  /// function then also takes "seed" (2), the key of dropout.
  float dropout = 0;
};

struct GraphOptions {
  int64_t max_batch = 1;
  int64_t max_context = 0;        ///< capacity of the cache; 0: n_positions
  std::vector<EntrySpec> entries; ///< empty: defaultEntries
};

/// The ops that families have in common, in one entry function. Shapes: B batch, T seq, C n_embd.
class GraphBuilder {
public:
  GraphBuilder(mlir::ModuleOp module, const ModelDescription &model, const EntrySpec &spec);

  const ModelDescription &model;
  mlir::ImplicitLocOpBuilder b;

  /// The module path of the ops that follow: "blocks.3.attn". Each function below that takes a name sets it,
  /// too.
  void at(const std::string &module_path);
  /// A weight by its canonical name.
  mlir::Value param(const std::string &name, mlir::ArrayRef<int64_t> shape);
  /// (B, T), i32.
  mlir::Value ids() const { return tokens; }
  /// (B, T): the position of each token. The caller has checked that texts have at most `limit` tokens.
  mlir::Value positions(int64_t limit);
  /// Rows of the table `name`.weight.
  mlir::Value embed(const std::string &name, int64_t rows, mlir::Value numbers);
  mlir::Value layerNorm(mlir::Value x, const std::string &name, double epsilon);
  /// x times `name`.weight [in, out], and `name`.bias.
  mlir::Value linear(mlir::Value x, const std::string &name, int64_t in, int64_t out);
  /// x times the transpose of the matrix `weight` [vocabulary, width].
  mlir::Value head(mlir::Value x, const std::string &weight);
  mlir::Value activate(mlir::Value x, const std::string &name, ActivationFunction function);
  /// x, or in training with dropout x with some elements lost. Each use draws from a stream of its own.
  mlir::Value dropped(mlir::Value x);
  /// The columns of x from `first` on, as (B, T, count, size).
  mlir::Value heads(mlir::Value x, int64_t first, int64_t count, int64_t size);
  /// Causal attention of block `block`: q, k and v as heads() gives them, k and v through the block's cache.
  /// The result is (B, T, n_head * head size).
  mlir::Value attention(mlir::Value q, mlir::Value k, mlir::Value v, int64_t block, double scale,
                        const std::string &name);

private:
  friend class EntryBuilder;
  const EntrySpec &spec;
  mlir::Type f32;
  bool trains;
  int64_t stream = 0;
  /// Arguments of the entry; null if it does not have them.
  mlir::Value tokens, past, length, labels, features, seed;
  mlir::SmallVector<mlir::Value> states; // k.0, v.0, k.1, ...
};

/// A family's part of a graph.
struct GraphParts {
  std::vector<mlir::Value> hidden;              ///< (B, T, C) each: the embeddings, and what each block gives
  std::string norm_name;                        ///< module path of the last norm
  std::function<mlir::Value(mlir::Value)> norm; ///< the last norm, of (B, T, C) or (B, C)
  std::function<mlir::Value(mlir::Value)> logits; ///< the language model's head, of what `norm` gives
};
using BuildGraph = GraphParts (*)(GraphBuilder &builder);
/// Adds a family at run time: for a library of its own that is loaded with the compiler.
void registerFamily(const Family &family, BuildGraph build);

/// generate {logits, token}, score {all_logits}, hidden {hidden}; for a classifier classify {scores},
/// embed {what its head pools}, hidden.
std::vector<EntrySpec> defaultEntries(const ModelDescription &model, int64_t max_context);

/// The module; weights are linnet.param by canonical checkpoint name. The context must have loaded the
/// dialect. Locations name the original module path ("blocks.3.attn.qkv"). The caller has checked max_context
/// <= n_positions.
mlir::OwningOpRef<mlir::ModuleOp> buildGraph(mlir::MLIRContext &context, const ModelDescription &model,
                                             const GraphOptions &options);

} // namespace linnet
