// Buffers of a program on a device.
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
  std::byte *mapped = nullptr; ///< null: the host cannot reach it
};

/// All of a program's memory, allocated once; numbers of buffers are those of Range.
class Buffers {
public:
  explicit Buffers(std::shared_ptr<Context> context) : context(std::move(context)) {}
  Buffers(const Buffers &) = delete;
  ~Buffers();

  /// Lays `sizes` out, each at a multiple of 256, in as few buffers as the device's allocation limit permits.
  /// `host`: in memory that the host reads and writes. `what` names it in errors.
  Result<std::vector<Range>> allocate(const std::vector<uint64_t> &sizes, bool host, const char *what);
  /// A buffer over `bytes` of the file, which is only read and kept as long as this; nothing where the device
  /// cannot: no error, bytes can still be copied. For drivers that run on a CPU: elsewhere a device may reach
  /// such memory slowly, or not where it belongs to a file.
  std::optional<uint32_t> share(const MappedFile &file, std::span<const std::byte> bytes);
  const Buffer &operator[](uint32_t number) const { return list[number]; }
  /// Fills a range, through staging where the host does not reach it.
  Result<void> write(const Range &range, std::span<const std::byte> bytes);
  Result<void> read(const Range &range, std::span<std::byte> bytes);
  Result<void> zero(std::span<const Range> ranges);
  uint64_t bytes() const { return sum; }

private:
  Result<Buffer> make(uint64_t bytes, bool host, const char *what);
  Result<void> once(const std::function<void(VkCommandBuffer)> &record);
  Result<void> needStaging();

  std::shared_ptr<Context> context;
  std::vector<Buffer> list;
  std::vector<MappedFile> files; // those that are shared
  Buffer staging;
  uint64_t sum = 0;
};

} // namespace linnet::vulkan
