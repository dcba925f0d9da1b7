// GPT-2 as a module in the `linnet` dialect.
//
// Each entry takes ids (batch, seq), past (batch): tokens of each sequence already in the cache, and length
// (batch): how many of each row's ids count (rows are padded on the right); and the KV cache as states "k.N"
// and "v.N" of shape (batch, n_head, context, head size). It returns its outputs and the states. The same
// graph is prefill and decode.
#pragma once
#include "frontend/checkpoint/config.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace linnet {

/// A function and what it returns:
///   "token"         (batch)               argmax of the last position's logits, i32
///   "logits"        (batch, vocab)        of the last position
///   "all_logits"    (batch, seq, vocab)   returned under the name "logits"
///   "hidden"        (batch, seq, n_embd)  "hidden.0" (embeddings), "hidden.1" .. "hidden.N" (after each
///   block) "ln_f"          (batch, seq, n_embd)  after the last layer norm "pooled.last", "pooled.mean",
///   "pooled.first"  (batch, n_embd) of ln_f "scores"        (batch, labels)       of a classifier
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

struct Gpt2Options {
  int64_t max_batch = 1;
  int64_t max_context = 0;        ///< capacity of the cache; 0: n_positions
  std::vector<EntrySpec> entries; ///< empty: defaultEntries
};

/// generate {logits, token}, score {all_logits}, hidden {hidden, ln_f}; for a classifier classify {scores},
/// embed {what its head pools}, hidden.
std::vector<EntrySpec> defaultEntries(const Gpt2Config &config, int64_t max_context);

/// The module; weights are linnet.param by canonical checkpoint name. The context must have loaded the
/// dialect. Locations name the original module path ("h.3.attn.c_attn"). The caller has checked max_context
/// <= n_positions.
mlir::OwningOpRef<mlir::ModuleOp> buildGpt2(mlir::MLIRContext &context, const Gpt2Config &config,
                                            const Gpt2Options &options);

} // namespace linnet
