// The loops of the interpreter, one function an op. Shapes have been checked by the verifier and at binding;
// what can still go wrong at run time (an id out of range) comes back as an error.
#pragma once
#include "backends/reference/tensor.h"
#include "ir/Linnet.h"

#include <cmath>

namespace linnet::reference {

/// How a matrix of integers is scaled (linnet.quantize_scale): in groups of `group` elements along dimension `dim`. 0:
/// one group.
struct ScaleForm {
  int64_t group = 0, dim = 0;
  bool asymmetric = false;
};
/// form.dim is 1.
Result<Tensor> embed(const Tensor &table, const Tensor &ids, const Tensor *scale, const ScaleForm &form);
Tensor positions(const Tensor *past, const Tensor &ids, int64_t limit);
struct MatmulOperands {
  const Tensor &lhs, &rhs;
  const Tensor *bias, *residual, *scale;
};
/// What an integer counts if a group of a row is rounded to 8 bits (linnet.matmul's int8_group).
double int8Step(double largest_of_row, double largest_of_group);
Result<Tensor> matmul(ir::MatmulOp op, const MatmulOperands &operands);
Tensor quantizeScale(const Tensor &x, int64_t bits, const ScaleForm &form);
Tensor quantize(const Tensor &x, const Tensor &scale, int64_t bits, const ScaleForm &form);
/// Which keys a query sees.
struct Sight {
  const Tensor *past, *length;
  bool causal;
  int64_t window = 0; ///< number of keys up to the query's own position; 0: all
  struct Keys {
    int64_t begin, end;
  };
  /// Keys [begin, end) that query t of `seq` in row b sees, or an error if past is negative. begin <= end <= capacity.
  Result<Keys> keys(int64_t b, int64_t t, int64_t seq, int64_t capacity) const;
};
/// How a product of a query and a key becomes a score. cap 0: no cap.
struct Scores {
  double scale, cap = 0;
  /// `product` is scaled already.
  double capped(double product) const { return cap > 0 ? cap * std::tanh(product / cap) : product; }
  /// The derivative of capped() where its value is `score`.
  double slope(double score) const { return cap > 0 ? 1 - score / cap * (score / cap) : 1; }
};
/// bf16_rows: the least number of queries for which both products multiply numbers rounded to bf16; 0: never.
Result<Tensor> attention(const Tensor &q, const Tensor &k, const Tensor &v, const Scores &scoring,
                         const Sight &sight, int64_t bf16_rows = 0);
Result<Tensor> mask(const Tensor &scores, const Sight &sight);
Result<Tensor> cacheAppend(const Tensor &cache, const Tensor &entries, const Tensor &past);
Tensor rotaryTable(std::span<const float> frequencies, int64_t positions, float scale);
Result<Tensor> rotary(const Tensor &x, const Tensor &table, const Tensor &positions, bool interleaved,
                      bool inverse);
Tensor layerNorm(const Tensor &x, const Tensor &gain, const Tensor &bias, double epsilon);
Tensor rmsNorm(const Tensor &x, const Tensor &gain, double epsilon);
Tensor softmax(const Tensor &x);
Tensor reduce(ir::ReduceKind kind, const Tensor &x, int64_t dim);
Tensor argmax(const Tensor &x);
/// The operands of linnet.sample in its order.
Tensor sample(std::span<const Tensor> operands);
Result<Tensor> pool(ir::PoolMode mode, const Tensor &x, const Tensor &length);
Tensor slice(const Tensor &x, int64_t dim, int64_t offset, int64_t size);
Tensor transpose(const Tensor &x, std::span<const int64_t> permutation);
Result<Tensor> concat(std::span<const Tensor> parts, int64_t dim);
Result<std::vector<Tensor>> elementwise(mlir::Operation *op, std::span<const Tensor> operands);

// --- training
Result<Tensor> crossEntropy(const Tensor &logits, const Tensor &labels);
Result<Tensor> crossEntropyGrad(const Tensor &logits, const Tensor &labels, const Tensor &gradient);
Tensor dropout(const Tensor &x, const Tensor &key, float rate, uint32_t stream);
Tensor contract(const Tensor &accumulator, const Tensor &lhs, const Tensor &rhs);
Tensor sumRows(const Tensor &accumulator, const Tensor &x);
Result<Tensor> scatterAdd(const Tensor &table, const Tensor &ids, const Tensor &rows);
Tensor layerNormGrad(const Tensor &x, const Tensor &gain, const Tensor &gradient, double epsilon);
struct AttentionGradOperands {
  const Tensor &q, &k, &v, &gradient;
};
Result<std::vector<Tensor>> attentionGrad(const AttentionGradOperands &operands, const Scores &scoring,
                                          const Sight &sight);
Result<Tensor> poolGrad(ir::PoolMode mode, const Tensor &gradient, const Tensor &length, const Tensor &like);
std::vector<Tensor> adamw(ir::AdamWOp op, std::span<const Tensor> operands);

/// The interpreter's kind for an element type of the dialect.
Kind kindOf(mlir::Type element);

} // namespace linnet::reference
