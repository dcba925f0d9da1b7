// oneDNN's part of the cpu device: matmuls with many rows. onednn.cpp is the one file that calls the library.
// A call computes in the thread that makes it: the device's own team shares the work, because the threads
// that OpenMP starts spin for milliseconds after each call and keep other programs from their processors.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstdint>
#include <memory>
#include <string>

namespace linnet::cpu {

/// How the residual reaches the result: not at all, from another place, or as the former contents of `out`.
enum class Residual : uint8_t { None, Elsewhere, InPlace };

/// out[m, n] = activation(a[m, k] w[k, n] + bias[n]) + residual[m, n] in f32, w packed as panel<16x64>, which
/// is oneDNN's BA16a64b; with bf16 both are bf16, w in pairs of rows, BA16a64b2a, and k a multiple of 32. Or
/// `plain`: row-major, either of a and w stored transposed, both perhaps in bf16.
/// Everything that a primitive is made from.
struct MatmulShape {
  int64_t m = 0, k = 0, n = 0, a_stride = 0; ///< a_stride: elements from row to row of a as stored
  /// The same of a plain w, and of out and residual. 0: dense.
  int64_t w_stride = 0, out_stride = 0;
  bool plain = false, transpose_a = false, transpose_w = false, bf16 = false;
  fb::Activation activation = fb::Activation::none;
  bool bias = false;
  Residual residual = Residual::None;
  bool operator==(const MatmulShape &) const = default;
};

struct MatmulOperands {
  const void *a, *w, *bias, *residual;
  void *out;
};

/// Rows or columns [begin, end) of a matmul's result, as a matmul of its own.
enum class Along : uint8_t { Rows, Columns };
MatmulShape slicedShape(const MatmulShape &whole, Along along, int64_t size);
/// `columns` of packed weights cannot be cut out.
MatmulOperands slicedOperands(const MatmulShape &whole, const MatmulOperands &operands, Along along,
                              int64_t begin);

/// Primitives by shape: made when first needed, at most kCapacity of them, the least recently used dropped.
/// For one thread at a time.
class MatmulLibrary {
public:
  static constexpr size_t kCapacity = 64;
  /// Holds the library to the level that kProcessorVariable (support/processor.h) names. oneDNN takes a limit
  /// only before the first primitive of a process.
  MatmulLibrary();
  ~MatmulLibrary();

  /// oneDNN's name of the implementation ("brg:avx512_core"), or an error where it has none.
  Result<std::string> implementation(const MatmulShape &shape);
  /// Working memory that the shape needs. Nothing is compiled for this.
  Result<uint64_t> scratchBytes(const MatmulShape &shape);
  /// True where oneDNN has an optimized implementation. Its reference loops are slower than the generated
  /// kernel.
  bool supports(const MatmulShape &shape);
  /// `scratch` holds at least scratchBytes(shape).
  Result<void> run(const MatmulShape &shape, const MatmulOperands &operands, void *scratch);

private:
  struct Primitive;
  struct State;
  Result<Primitive *> find(const MatmulShape &shape);
  std::unique_ptr<State> state;
};

} // namespace linnet::cpu
