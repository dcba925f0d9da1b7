// --dtype keep: weights as a quantized GGUF file stores them.
#pragma once
#include "compiler/api.h"
#include "compiler/input.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace linnet {

/// The largest root mean square error, relative to that of the weights, of a type that replaces one which is not kept
/// exactly.
inline constexpr double kMostKeptError = 1e-3;

/// `options` with a dtype: if it is empty, keep for a GGUF file with quantized weights, otherwise f32. An error if it
/// is keep and the input is neither such a file nor a graph with the attribute linnet.kept.
Result<CompileOptions> withDtype(const CompileOptions &options, const ModelInput &input);

/// Lists in the module how its weights are kept (passes/Kept.h). Types that are integers with a scale for each group,
/// and a minimum in some, are kept exactly: Q4_0, Q4_1, Q4_K, Q5_0, Q6_K, Q8_0 and IQ4_NL. The other quantized ones
/// become the first of int8 in groups of 32, bf16, f16 and f32 whose error is at most kMostKeptError. Returns a line
/// with the types and their errors.
Result<std::string> keepWeights(const Checkpoint &checkpoint, mlir::ModuleOp module);

/// The integers or the scales of a checkpoint's weight, by NAME.integers or NAME.scales; nothing for other names.
Result<std::optional<WeightTensor>> keptWeight(const Checkpoint &checkpoint, std::string_view name);

} // namespace linnet
