// Generators of kernels. See kernel.h for the conventions.
#pragma once
#include "backends/common/specs/attention.h"
#include "backends/common/specs/elementwise.h"
#include "backends/common/specs/matmul.h"
#include "backends/common/specs/moves.h"
#include "backends/common/specs/rows.h"
#include "backends/cpu/kernel.h"

#include <algorithm>

namespace llvm {
class Value;
}

namespace linnet::cpu {

using namespace backend; // specifications

/// Rows of activations beside weights of integers, made once for all panels of a matmul. Of each row of k
/// numbers the largest magnitude becomes 127 * 256, an integer of two signed bytes, hi 256 + lo: a plane of
/// hi, a plane of lo, then what an integer counts (f32), then for each group of rows of w sumFactor() times the
/// sums of its hi and of its lo (i32). Half a step is 1.5e-5 of the row's largest number.
/// Of at least int8_rows rows, if that is not 0, the largest magnitude becomes 127, and there is only hi.
/// Next to `asymmetric` weights, the sums are those of hi and of lo themselves: w stays unsigned, and the sums
/// multiply the minima.
/// With `int8_group`, each section of that many bytes has an exponent e (linnet.matmul). Its bytes count 2^(8 - e) of
/// the factor. A section has two words. The first one, with VNNI, is 1.5 2^(31 - e) (f32): integers that are added to
/// its bits make it larger by 2^(8 - e) each, so that a sum needs no conversion and no multiplication. Without VNNI it
/// is twice 2^(8 - e) in 16 bits. The second one is what sums begin with: the first one's bits (without VNNI: 0) plus
/// sumFactor() times the sum (i32). Next to `asymmetric` weights it is 2^(8 - e) times the sum (f32).
/// Beside i8 at a level without VNNI a row is one plane of 16-bit numbers without sums. Each four of them are
/// stored in the order 0, 2, 1, 3. With `int8_group` they are bytes times 2^(8 - e), without sections.
struct IntegerRows {
  int64_t k = 0, group = 0, interleave = 4; ///< of w: rows that share a scale (0: all), that lie together
  int64_t int8_rows = 0;
  bool asymmetric = false;
  int64_t int8_group = 0; ///< divides `group`, if that is not 0

  int64_t padded() const { return (k + 15) / 16 * 16; } ///< elements of a row, zeros included
  int64_t groups() const { return group ? (k + group - 1) / group : 1; }
  /// Whether numbers of `bytes` bytes have an exponent for each section.
  bool hasExponents(int bytes) const { return bytes == 1 && int8_group; }
  /// Numbers of a row whose products are summed up as integers.
  int64_t section(int bytes) const { return hasExponents(bytes) ? int8_group : group ? group : k; }
  int64_t sections(int bytes) const { return (k + section(bytes) - 1) / section(bytes); }
  int64_t factorAt() const { return 2 * padded(); } ///< in bytes
  int64_t sumsAt() const { return factorAt() + 4; }
  /// From a word of a section to that of the next one.
  static constexpr int64_t kSectionWords = 2;
  /// Of a row; never less than the floats it is made of.
  int64_t bytes() const {
    const int64_t most = std::max(sections(1), sections(2));
    return (std::max(sumsAt() + 4 * kSectionWords * most, 4 * k) + 63) / 64 * 64;
  }
  /// Weights of i8 and i4 are made unsigned by adding 128 or 8.
  int64_t sumFactor() const { return asymmetric ? 1 : interleave == 8 ? -8 : -128; }
};

/// A section of more numbers has sums beyond the 22 bits that its float has room for.
constexpr int64_t kMostInt8Group = 256;

/// args {a, rows}; items are the m rows of a, a_stride apart.
KernelSource integerRowsKernel(const IntegerRows &to, const Extent &m, int64_t a_stride);

/// out = activation(a w + bias) + residual for any number of rows m: PackedMatmul.kernel.
/// dims {m}; args {a, w, bias, residual, out, scale}, bias, residual and scale as the spec says, else not
/// read. Item p computes columns [p n_block, (p + 1) n_block). w: panels, see #linnet.panel with interleave()
/// (of w's transpose when the weight is stored transposed: the panels are the same). w of integers counts
/// times scale (f32, panels of n_block columns with k_block 1), a row of it for each `group` rows of w, or
/// one for all when group is 0; a is then IntegerRows. `asymmetric`: each row of scales is followed by one of
/// minima, and w + 8 counts (linnet.matmul). Beside w in bf16 a may be bf16. The order of each
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
  bool asymmetric = false;
  int64_t int8_group = 0; ///< see IntegerRows

  bool scaled() const { return w == Type::i8 || w == Type::i4; }
  int64_t groups() const { return group ? (k + group - 1) / group : 1; }
  int64_t scaleRows() const { return groups() * (asymmetric ? 2 : 1); }
  /// Whether a tile adds up floats, one sum for each section of a's rows.
  bool addsSections(int bytes) const {
    return groups() > 1 || asymmetric || integerRows().hasExponents(bytes);
  }
  int64_t interleave() const { return interleaveOf(w); }
  int64_t panelBytes() const {
    const int64_t elements = (k + k_block - 1) / k_block * k_block * n_block;
    return w == Type::i4 ? elements / 2 : elements * sizeOf(w);
  }
  IntegerRows integerRows() const { return {k, group, interleave(), int8_rows, asymmetric, int8_group}; }
};
KernelSource packedMatmulKernel(const PackedMatmulSpec &spec);

// Meaning and operands of the other kernels: backends/common/specs. The comment names the function of the
// specification that counts the kernel's items.

/// The operands of matmulKernel, as Gemm in artifact.fbs has them. All but the scale are there; bias and residual are
/// read if the specification has them.
enum class GemmOperand : uint8_t { a, w, bias, residual, out, scale };
constexpr int64_t kMatmulColumns = 64; ///< of a block
/// Item ((g * blocks + block) * m + row) computes a block of columns of one row; blocks = columnBlocks(spec).
KernelSource matmulKernel(const MatmulSpec &spec);
int64_t columnBlocks(const MatmulSpec &spec);

struct CpuElementwiseSpec : ElementwiseSpec {
  /// in: f32 (or i32) vectors of equal lanes; gives one for each result.
  std::function<std::vector<llvm::Value *>(Emitter &, const std::vector<llvm::Value *> &)> body = {};
};
/// Items are elements of the results; with `reduce`, rows.
KernelSource elementwiseKernel(const CpuElementwiseSpec &spec);

KernelSource normKernel(const NormSpec &spec);     ///< rows
KernelSource softmaxKernel(const RowSpec &spec);   ///< rows
KernelSource argmaxKernel(const RowSpec &spec);    ///< rows
KernelSource reduceKernel(const ReduceSpec &spec); ///< elements
KernelSource poolKernel(const PoolSpec &spec);     ///< elements
/// rows; the call that has the first row of a block computes the whole block
KernelSource attentionKernel(const AttentionSpec &spec);
KernelSource maskKernel(const MaskSpec &spec);               ///< rows
KernelSource embedKernel(const EmbedSpec &spec);             ///< ids
KernelSource positionsKernel(const PositionsSpec &spec);     ///< elements
KernelSource cacheAppendKernel(const CacheAppendSpec &spec); ///< rows
KernelSource rotaryKernel(const RotarySpec &spec);           ///< rows of a head
KernelSource copyKernel(const CopySpec &spec);               ///< elements
KernelSource transposeKernel(const TransposeSpec &spec);     ///< elements

} // namespace linnet::cpu
