// Generators of kernels. See kernel.h for the conventions.
#pragma once
#include "backends/cpu/kernel.h"

#include <algorithm>
#include <optional>

namespace llvm {
class Value;
}

namespace linnet::cpu {

using backend::suffixOf;

/// Rows of activations beside weights of integers, made once for all panels of a matmul. Of each row of k
/// numbers the largest magnitude becomes 127 * 256, an integer of two signed bytes, hi 256 + lo: a plane of
/// hi, a plane of lo, then what an integer counts (f32), then for each group of rows of w -zero() times the
/// sums of its hi and of its lo (i32). Half a step is 1.5e-5 of the row's largest number.
/// Of at least int8_rows rows, if that is not 0, the largest magnitude becomes 127, and there is only hi;
/// where unsignedBytes() it is stored as hi + 128, w stays signed, and the sums are those of w's columns.
/// Beside i8 at a level without VNNI a row is one plane of 16-bit numbers without sums. Each four of them are
/// stored in the order 0, 2, 1, 3.
struct IntegerRows {
  int64_t k = 0, group = 0, interleave = 4; ///< of w: rows that share a scale (0: all), that lie together
  int64_t int8_rows = 0;

  int64_t padded() const { return (k + 15) / 16 * 16; } ///< elements of a row, zeros included
  int64_t groups() const { return group ? (k + group - 1) / group : 1; }
  int64_t factorAt() const { return 2 * padded(); } ///< in bytes
  int64_t sumsAt() const { return factorAt() + 4; }
  /// Of a row; never less than the floats it is made of.
  int64_t bytes() const { return (std::max(sumsAt() + 8 * groups(), 4 * k) + 63) / 64 * 64; }
  bool unsignedBytes() const { return interleave == 4 && groups() == 1; }
  /// Weights of i8 and i4 are made unsigned by adding this.
  int64_t zero() const { return interleave == 8 ? 8 : 128; }
};

/// args {a, rows}; items are the m rows of a, a_stride apart.
KernelSource integerRowsKernel(const IntegerRows &to, const Extent &m, int64_t a_stride);

/// out = activation(a w + bias) + residual for any number of rows m: PackedMatmul.kernel.
/// dims {m}; args {a, w, bias, residual, out, scale}, bias, residual and scale as the spec says, else not
/// read. Item p computes columns [p n_block, (p + 1) n_block). w: panels, see #linnet.panel with interleave()
/// (of w's transpose when the weight is stored transposed: the panels are the same). w of integers counts
/// times scale (f32, panels of n_block columns with k_block 1), a row of it for each `group` rows of w, or
/// one for all when group is 0; a is then IntegerRows. Beside w in bf16 a may be bf16. The order of each
/// output's additions depends on k and group only: its bits do not depend on m, but for whether it reaches
/// int8_rows.
struct PackedMatmulSpec {
  int64_t k, n, a_stride; ///< a_stride: in elements of a; of IntegerRows in floats
  int64_t k_block = 16, n_block = 64;
  Type a = Type::f32, w = Type::f32, out = Type::f32, bias_type = Type::f32;
  bool bias = false, residual = false;
  Activation activation = Activation::none;
  int64_t group = 0;
  int64_t int8_rows = 0; ///< see IntegerRows

  bool scaled() const { return w == Type::i8 || w == Type::i4; }
  int64_t groups() const { return group ? (k + group - 1) / group : 1; }
  int64_t interleave() const { return interleaveOf(w); }
  int64_t panelBytes() const {
    const int64_t elements = (k + k_block - 1) / k_block * k_block * n_block;
    return w == Type::i4 ? elements / 2 : elements * sizeOf(w);
  }
  IntegerRows integerRows() const { return {k, group, interleave(), int8_rows}; }
};
KernelSource packedMatmulKernel(const PackedMatmulSpec &spec);

/// out[g, m, n] = activation(sum_k a[g, m, k] w[g, k, n] + bias[n]) + residual[g, m, n].
/// args {a, w, bias, residual, out, scale}. a (g, m, k), or (g, k, m) when transpose_a, its rows a_stride
/// apart when that is not 0; w (g, k, n) or (g, n, k), or without g when shared. Item ((g * blocks + block) *
/// m + row) computes columns [block kColumns, (block + 1) kColumns) of one row; blocks = columnBlocks(spec).
/// a and w may be of other types than the rest; integers count times scale (groups, n), or (n, groups) with
/// transpose_w.
struct MatmulSpec {
  Extent m, k, n;
  bool transpose_a = false, transpose_w = false, shared_w = true, bias = false, residual = false;
  Type type = Type::f32;
  int64_t a_stride = 0;
  Activation activation = Activation::none;
  Type a = Type::f32, w = Type::f32;
  int64_t group = 0, groups = 1; ///< of integers: rows of w to a row of scale (0: all), rows of scale
  static constexpr int64_t kColumns = 64;
};
KernelSource matmulKernel(const MatmulSpec &spec);
int64_t columnBlocks(const MatmulSpec &spec);

/// One pass over elements: out_i = body(in_0, in_1, ...)[i], items are elements of the results.
/// args {in..., out...}. shape: the results' dimensions, neighbours merged where every input treats them
/// alike; bit d of broadcast[i] says that input i has size 1 in dimension d.
struct ElementwiseSpec {
  /// Rows of an input may have gaps between them.
  struct Gap {
    size_t dims = 0;    ///< a row is this many trailing dimensions; 0: no gaps
    int64_t stride = 0; ///< elements from row to row
  };
  std::string name; ///< of the function computed: part of the kernel's name
  Extents shape;
  std::vector<Type> in, out;
  std::vector<uint32_t> broadcast;
  std::vector<Gap> gaps; ///< empty, or one for each input
  /// Instead of storing elements: each row of the last dimension reduced. Items are rows.
  std::optional<Reduction> reduce;
  /// in: f32 (or i32) vectors of equal lanes; gives one for each result.
  std::function<std::vector<llvm::Value *>(Emitter &, const std::vector<llvm::Value *> &)> body;
};
KernelSource elementwiseKernel(const ElementwiseSpec &spec);

/// Rows of the last dimension; items are rows. args {x, gain, bias, out} and {x, out}.
struct RowSpec {
  Extent columns;
  Type type = Type::f32, gain = Type::f32;
  float epsilon = 0;
};
KernelSource layerNormKernel(const RowSpec &spec);
KernelSource softmaxKernel(const RowSpec &spec);
/// args {x, out (i32)}: lowest index of the largest element; a NaN counts as largest.
KernelSource argmaxKernel(const RowSpec &spec);

/// x (outer, size, inner) -> out (outer, inner). args {x, out}; items are elements of out.
struct ReduceSpec {
  Reduction kind;
  Extent size, inner;
  Type type = Type::f32;
};
KernelSource reduceKernel(const ReduceSpec &spec);

/// x (B, T, C), length (B) -> out (B, C). args {x, length, out}; items are elements of out.
struct PoolSpec {
  Pooling mode;
  Extent positions, columns;
  Type type = Type::f32;
};
KernelSource poolKernel(const PoolSpec &spec);

/// args {q, k, v, past, out, length}; past and length are not read when !past and !length. Items are queries:
/// ((b * H) + h) * T + t; several are computed as blocks by whoever holds a block's first. Flash attention:
/// keys in blocks, one running maximum and sum a query, no T x S matrix. Rows (b, t) of q are q_stride
/// elements apart. Dao et al., 2022, arXiv:2205.14135. With bf16_rows, and at least as many queries, the
/// factors of both products are rounded to bf16.
struct AttentionSpec {
  Extent queries, heads, capacity;
  int64_t head_size;
  Extent q_stride;
  Type type = Type::f32, cache = Type::f32;
  float scale = 1;
  bool causal = true, past = true, length = false;
  int64_t bf16_rows = 0;
};
KernelSource attentionKernel(const AttentionSpec &spec);

/// Scores (B, H, T, S) with what a query does not see at -infinity. args {x, past, length, out}; past and
/// length are not read when not there. Items are rows ((b * H) + h) * T + t.
struct MaskSpec {
  Extent queries, heads, capacity;
  Type type = Type::f32;
  bool causal = true, past = true, length = false;
};
KernelSource maskKernel(const MaskSpec &spec);

/// out[i, :] = table[ids[i], :]; args {table, ids, out, scale}; items are rows. `panel`: table (V, C) is
/// packed as an operand of a matmul with this block, see #linnet.panel. Ids are clamped to the table. A table
/// of integers counts times scale (V, groups), packed with k_block 1 beside a packed table.
struct EmbedSpec {
  int64_t rows;
  Extent columns;
  struct Panel {
    int64_t k_block, n_block, interleave;
    bool transposed;
  };
  std::optional<Panel> panel;
  Type table = Type::f32, out = Type::f32;
  int64_t group = 0, groups = 1;
};
KernelSource embedKernel(const EmbedSpec &spec);

/// out[b, t] = min(past[b] + t, limit - 1); args {past, out}; items are elements. Without `past` it is 0.
struct PositionsSpec {
  Extent positions;
  int64_t limit;
  bool past = true;
};
KernelSource positionsKernel(const PositionsSpec &spec);

/// cache[b, h, past[b] + t, :] = new[b, t, h, :]; args {new, past, cache}; items ((b * T) + t) * H + h.
/// Rows (b, t) of new are stride elements apart.
struct CacheAppendSpec {
  Extent positions, heads, capacity, head_size, stride;
  Type type = Type::f32, cache = Type::f32;
};
KernelSource cacheAppendKernel(const CacheAppendSpec &spec);

/// out[o * out_stride + out_offset + i] = x[o * in_stride + in_offset + i], i < run; args {x, out}; items are
/// elements o * run + i.
struct CopySpec {
  Extent run, in_stride, out_stride;
  Extent in_offset = 0, out_offset = 0;
  Type type = Type::f32;
};
KernelSource copyKernel(const CopySpec &spec);

/// out's dimension i is x's dimension permutation[i]; shape is out's. args {x, out}; items are elements of
/// out.
struct TransposeSpec {
  Extents shape;
  std::vector<int64_t> permutation;
  Type type = Type::f32;
};
KernelSource transposeKernel(const TransposeSpec &spec);

} // namespace linnet::cpu
