// Generators of kernels. kernel.h has the conventions.
#pragma once
#include "backends/common/specs/attention.h"
#include "backends/common/specs/elementwise.h"
#include "backends/common/specs/matmul.h"
#include "backends/common/specs/moves.h"
#include "backends/common/specs/rows.h"
#include "backends/common/specs/training.h"
#include "backends/cpu/kernel.h"

#include <algorithm>

namespace llvm {
class Value;
}

namespace linnet::cpu {

using namespace backend; // the specifications

/// Rows of activations as integers, for products with weights of integers. Rows are converted once for all panels of a
/// matmul. The largest magnitude of a row of k numbers becomes 127 * 256. An integer is hi * 256 + lo, two signed
/// bytes. Half a step is 1.5e-5 of the row's largest number.
///
/// A row has: a plane of hi, a plane of lo, the value of an integer's unit (f32), and two words for each section. A
/// section is a group of rows of w. Its words (i32) are sumFactor() times the sum of the section's hi, and of its lo.
///
/// Variants:
/// - int8_rows > 0 and at least that many rows: the largest magnitude becomes 127, and there is only hi.
/// - asymmetric: w stays unsigned, and the sums, which multiply the minima, have no factor.
/// - w in i8 at a level without VNNI: a row is one plane of 16-bit numbers without sums. Each four numbers are stored
///   in the order 0, 2, 1, 3. With int8_group they are bytes times 2^(8 - e), and the sections'
///   words are working memory.
/// - int8_group, for hi alone: a section has that many bytes and an exponent e (linnet.matmul). A byte's unit is 2^(8 -
///   e) times the row's. Word 0, with VNNI, is 1.5 2^(31 - e) (f32): each integer that is added to its bits makes the
///   float larger by 2^(8 - e), so that a sum needs no conversion and no multiplication. Without VNNI word 0 is twice
///   2^(8 - e) in 16 bits. Word 1 is the first value of sums: word 0 (without VNNI: 0) plus sumFactor() times the sum
///   (i32). If asymmetric, word 1 is 2^(8 - e) times the sum (f32).
struct IntegerRows {
  /// group: rows of w that share a scale, 0 if all do; interleave: of w's panels
  int64_t k = 0, group = 0, interleave = 4;
  int64_t int8_rows = 0;
  bool asymmetric = false;
  int64_t int8_group = 0; ///< divides `group`, if that is not 0

  int64_t padded() const { return (k + 15) / 16 * 16; } ///< elements of a row with padding
  int64_t groups() const { return group ? (k + group - 1) / group : 1; }
  /// Whether numbers of `bytes` bytes have an exponent for each section.
  bool hasExponents(int bytes) const { return bytes == 1 && int8_group; }
  /// Numbers of a row whose products are added as integers.
  int64_t section(int bytes) const { return hasExponents(bytes) ? int8_group : group ? group : k; }
  int64_t sections(int bytes) const { return (k + section(bytes) - 1) / section(bytes); }
  int64_t factorAt() const { return 2 * padded(); } ///< offset in bytes
  int64_t sumsAt() const { return factorAt() + 4; }
  static constexpr int64_t kSectionWords = 2; ///< words of a section
  /// Bytes of a row, at least as many as its floats have.
  int64_t bytes() const {
    const int64_t most = std::max(sections(1), sections(2));
    return (std::max(sumsAt() + 4 * kSectionWords * most, 4 * k) + 63) / 64 * 64;
  }
  /// Adding 128 (i8) or 8 (i4) makes weights unsigned. The factor times a row's sum corrects the products.
  int64_t sumFactor() const { return asymmetric ? 1 : interleave == 8 ? -8 : -128; }
};

/// Sums of a larger section exceed the 22 bits that its float has for them.
constexpr int64_t kMostInt8Group = 256;

/// args {a, rows}. Items are the m rows of a, which are a_stride apart.
KernelSource integerRowsKernel(const IntegerRows &to, const Extent &m, int64_t a_stride);

/// out = activation(a w + bias) + residual for any number of rows m. This is PackedMatmul.kernel.
///
/// dims {m}; args {a, w, bias, residual, out, scale}. The kernel reads bias, residual and scale only if the
/// specification has them. Item p computes columns [p n_block, (p + 1) n_block). w is in panels with interleave()
/// (#linnet.panel). A weight that is stored transposed has the same panels.
///
/// Integers: w is multiplied by scale (f32, panels of n_block columns with k_block 1). A row of scale belongs to
/// `group` rows of w, or to all if group is 0. a is then IntegerRows. If `asymmetric`, w + 8 is multiplied by the
/// scale, and each row of scales is followed by a row of minima (linnet.matmul). If w is bf16, a may be bf16.
///
/// The order of each output's additions depends on k and group only. Outputs therefore have the same bits for every m,
/// except that int8_rows changes them.
struct PackedMatmulSpec {
  int64_t k, n, a_stride; ///< a_stride: in elements of a, or in floats if a is IntegerRows
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
  /// Whether a tile adds a float sum for each section of a's rows, instead of one sum over all of w.
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

// backends/common/specs has the formulas and operands of the other kernels. kernelOf() makes those that have no
// declaration here; the workOf() of each counts its items.

/// The operands of matmulKernel: the args that Gemm describes in artifact.fbs, then scale. A call passes scale only if
/// the specification has it. The kernel reads bias and residual only if the specification has them.
enum class GemmOperand : uint8_t { a, w, bias, residual, out, scale };
constexpr int64_t kMatmulColumns = 64; ///< columns of a block
/// Item ((g * blocks + block) * m + row) computes one block of columns of one row. blocks is columnBlocks(spec).
KernelSource matmulKernel(const MatmulSpec &spec);
int64_t columnBlocks(const MatmulSpec &spec);

struct CpuElementwiseSpec : ElementwiseSpec {
  /// Computes one vector for each result from a vector of each input. Vectors are f32 or i32 and have equal lanes.
  std::function<std::vector<llvm::Value *>(Emitter &, const std::vector<llvm::Value *> &)> body = {};
};
/// Items are elements of the results; with `reduce`, rows.
KernelSource elementwiseKernel(const CpuElementwiseSpec &spec);

/// The kernel of a call whose keys are at most `largest_capacity`, and its work. Computes the scores of each query
/// again, without a T x S matrix.
SizedKernel attentionGradKernel(const AttentionGradSpec &spec, int64_t largest_capacity);

} // namespace linnet::cpu
