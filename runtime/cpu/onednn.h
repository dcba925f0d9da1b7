// oneDNN's part of the cpu device: matmuls with many rows. Only onednn.cpp calls the library. A call computes
// in the calling thread, and the device's team shares the work. OpenMP's threads would spin for milliseconds
// after each call and keep processors from other programs.
#pragma once
#include "linnet/version.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstdint>
#include <memory>
#include <string>

namespace linnet::cpu {

/// The source of the residual: none, a separate buffer, or the former contents of `out`.
enum class Residual : uint8_t { None, Elsewhere, InPlace };

/// All parameters of a primitive. It computes out[m, n] = activation(a[m, k] w[k, n] + bias[n]) + residual[m,
/// n]. w is packed as panel<16x64> f32, oneDNN's BA16a64b. With `bf16`, a and w are bf16, w has pairs of rows
/// (BA16a64b2a), and k is a multiple of 32. With `plain`, a and w are row-major, each possibly transposed,
/// both f32 or both bf16.
struct MatmulShape {
  int64_t m = 0, k = 0, n = 0, a_stride = 0; ///< a_stride: elements between rows of a as stored
  /// Elements between rows of a plain w, and of out and residual. 0: dense.
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

/// The dimension along which a matmul's result is sliced.
enum class Along : uint8_t { Rows, Columns };
/// The matmul that computes `size` rows or columns of `whole`.
MatmulShape slicedShape(const MatmulShape &whole, Along along, int64_t size);
/// The operands of the slice that starts at `begin`. Packed weights cannot be sliced along columns.
MatmulOperands slicedOperands(const MatmulShape &whole, const MatmulOperands &operands, Along along,
                              int64_t begin);

/// The version of the installed library, "2.6.3". Loads it; without it, the error is MatmulLibrary::load()'s.
LINNET_API Result<std::string> matmulLibraryVersion();

/// A cache of primitives by shape. Holds at most kCapacity, and drops the least recently used. Not
/// thread-safe.
class MatmulLibrary {
public:
  static constexpr size_t kCapacity = 64;
  MatmulLibrary();
  ~MatmulLibrary();

  /// Loads oneDNN's shared library into the process, once. The other calls do it as well. Limits the library to
  /// the level that kProcessorVariable (support/processor.h) names: oneDNN accepts a limit only before the
  /// first primitive of a process. Without the library, the error names the package to install. Thread-safe.
  static Result<void> load();

  /// oneDNN's name of the implementation ("brg:avx512_core"), or an error if it has none.
  Result<std::string> implementation(const MatmulShape &shape);
  /// Bytes of working memory for the shape. Compiles nothing.
  Result<uint64_t> scratchBytes(const MatmulShape &shape);
  /// Whether oneDNN has an optimized implementation. Its reference loops are slower than the generated kernel. load()
  /// must have succeeded.
  bool supports(const MatmulShape &shape);
  /// `scratch` must have at least scratchBytes(shape).
  Result<void> run(const MatmulShape &shape, const MatmulOperands &operands, void *scratch);

private:
  struct Primitive;
  struct State;
  Result<Primitive *> find(const MatmulShape &shape);
  std::unique_ptr<State> state;
};

} // namespace linnet::cpu
