// Interfaces that lowering reads weights from and writes blobs to. The compiler connects them to the checkpoint and to
// the artifact's writer.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace linnet {

/// A tensor of a checkpoint. `read` returns elements [first, first + out.size()) in row-major order as f32. It checks
/// the range and may be called from several threads at once.
struct WeightTensor {
  fb::DType dtype = fb::DType::f32; ///< the type in the checkpoint
  std::vector<int64_t> shape;
  std::function<Result<void>(int64_t first, std::span<float> out)> read;
};

/// A checkpoint's tensors by name. Lowering holds only a few panels of a tensor at a time.
class WeightSource {
public:
  virtual ~WeightSource() = default;
  /// The error names the tensor and the place where it was searched.
  virtual Result<WeightTensor> open(std::string_view name) = 0;
};

/// Receives blobs, one at a time, in pieces of any size. `SinkFor` adapts ArtifactWriter, which has the same functions.
class BlobSink {
public:
  virtual ~BlobSink() = default;
  virtual Result<void> begin() = 0;
  virtual Result<void> append(std::span<const std::byte> bytes) = 0;
  virtual Result<fb::BlobT> end() = 0;
};

template <class Writer> class SinkFor : public BlobSink {
public:
  explicit SinkFor(Writer &writer) : writer(writer) {}
  Result<void> begin() override { return writer.begin(); }
  Result<void> append(std::span<const std::byte> bytes) override { return writer.append(bytes); }
  Result<fb::BlobT> end() override { return writer.end(); }

private:
  Writer &writer;
};

} // namespace linnet
