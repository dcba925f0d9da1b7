// The buffers of a program on a device.
#pragma once
#include "runtime/vulkan/device/context.h"
#include "runtime/vulkan/execute/plan.h"
#include "support/file.h"

#include <optional>

namespace linnet::vulkan {

struct Buffer {
  VkBuffer handle = nullptr;
  VkDeviceMemory memory = nullptr;
  uint64_t bytes = 0;
  std::byte *mapped = nullptr; ///< null if the host cannot map it
};

/// All memory of a program, allocated once. Buffer indices are those of Range.
class Buffers {
public:
  explicit Buffers(std::shared_ptr<Context> context) : context(std::move(context)) {}
  Buffers(const Buffers &) = delete;
  ~Buffers();

  /// Allocates ranges of `sizes` bytes, each at a multiple of 256, in as few buffers as the device's
  /// allocation limit permits. With `host`, the host reads and writes them. `what` names the memory in
  /// errors.
  Result<std::vector<Range>> allocate(const std::vector<uint64_t> &sizes, bool host, const char *what);
  /// A buffer over `bytes` of the mapped file, which is only read and stays mapped as long as this object.
  /// Nothing if the device cannot import the memory; the caller then copies it. For drivers that run on a
  /// CPU: other devices may access such memory slowly, or not at all if it belongs to a file.
  std::optional<uint32_t> share(const MappedFile &file, std::span<const std::byte> bytes);
  const Buffer &operator[](uint32_t number) const { return list[number]; }
  /// Writes a range, through a staging buffer if the host cannot map it.
  Result<void> write(const Range &range, std::span<const std::byte> bytes);
  Result<void> read(const Range &range, std::span<std::byte> bytes);
  Result<void> zero(std::span<const Range> ranges);
  /// Copies each pair's first range to its second one, of the same size. They do not overlap.
  Result<void> copy(std::span<const std::pair<Range, Range>> ranges);
  uint64_t bytes() const { return sum; }

private:
  Result<Buffer> make(uint64_t bytes, bool host, const char *what);
  Result<void> once(const std::function<void(VkCommandBuffer)> &record);
  Result<void> needStaging();

  std::shared_ptr<Context> context;
  std::vector<Buffer> list;
  std::vector<MappedFile> files; // files of share()
  Buffer staging;
  uint64_t sum = 0;
};

} // namespace linnet::vulkan
