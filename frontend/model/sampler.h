// The entry that samples tokens from logits, for targets that decode on the device.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace linnet {

/// Adds entry "sample". Inputs: logits (batch, vocab), temperature, top_k, top_p, position, copy (batch
/// each), seed (2). Output: token (batch). See linnet.sample.
void addSampleEntry(mlir::ModuleOp module, int64_t vocab_size, int64_t max_batch);

} // namespace linnet
