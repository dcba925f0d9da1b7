// Where a backend takes weights from and where it puts bytes that go into an artifact: the seams between
// lowering and the checkpoint on one side, the artifact's writer on the other.
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

/// A tensor of a checkpoint. `read` gives elements [first, first + out.size()) in row-major order as f32; it
/// may be called from several threads at once, and checks the range.
struct WeightTensor {
  fb::DType dtype = fb::DType::f32; ///< how the checkpoint stores it
  std::vector<int64_t> shape;
  std::function<Result<void>(int64_t first, std::span<float> out)> read;
};

/// A checkpoint's tensors by name. Lowering never holds more of one than a few panels.
class WeightSource {
public:
  virtual ~WeightSource() = default;
  /// The error names the tensor and where it was looked for.
  virtual Result<WeightTensor> open(std::string_view name) = 0;
};

/// Takes blobs, one at a time, in pieces of any size. ArtifactWriter has the same functions; `SinkFor` adapts
/// it.
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
