// The loops of the interpreter, one function an op. Shapes have been checked by the verifier and at binding;
// what can still go wrong at run time (an id out of range) comes back as an error.
#pragma once
#include "backends/reference/tensor.h"
#include "ir/Linnet.h"

namespace linnet::reference {

Result<Tensor> embed(const Tensor &table, const Tensor &ids);
Tensor positions(const Tensor &past, const Tensor &ids, int64_t limit);
Result<Tensor> matmul(ir::MatmulOp op, const Tensor &lhs, const Tensor &rhs, const Tensor *bias,
                      const Tensor *residual);
Result<Tensor> attention(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor *past, double scale,
                         bool causal);
Result<Tensor> cacheAppend(const Tensor &cache, const Tensor &entries, const Tensor &past);
Tensor layerNorm(const Tensor &x, const Tensor &gain, const Tensor &bias, double epsilon);
Tensor softmax(const Tensor &x);
Tensor reduce(ir::ReduceKind kind, const Tensor &x, int64_t dim);
Tensor argmax(const Tensor &x);
Result<Tensor> pool(ir::PoolMode mode, const Tensor &x, const Tensor &length);
Tensor slice(const Tensor &x, int64_t dim, int64_t offset, int64_t size);
Tensor transpose(const Tensor &x, std::span<const int64_t> permutation);
Result<Tensor> concat(std::span<const Tensor> parts, int64_t dim);
Result<std::vector<Tensor>> elementwise(mlir::Operation *op, std::span<const Tensor> operands);

/// The interpreter's kind for an element type of the dialect.
Kind kindOf(mlir::Type element);

} // namespace linnet::reference
