// Limits, features and memories of a Vulkan device as plain data. Plans depend only on this. So tests need no
// GPU, and a profile can limit a device (--emulate-limits).
#pragma once
#include "support/result.h"

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace linnet::vulkan {

enum class Kind : uint8_t { other, integrated, discrete, virtual_gpu, cpu };
const char *kindName(Kind kind);

struct Limits {
  uint64_t storage_range = uint64_t(1) << 27; ///< maxStorageBufferRange, bytes
  uint64_t storage_alignment = 256;           ///< minStorageBufferOffsetAlignment, bytes
  uint64_t allocation = uint64_t(1) << 30;    ///< maxMemoryAllocationSize, bytes
  uint64_t texel_alignment = 256;             ///< minTexelBufferOffsetAlignment, bytes
  uint64_t host_pointer =
      0; ///< minImportedHostPointerAlignment, bytes; 0: the device cannot import host memory
  uint64_t texels = 65536;                        ///< maxTexelBufferElements
  uint32_t push_bytes = 128;                      ///< maxPushConstantsSize
  uint32_t bindings = 4;                          ///< storage buffers of a compute shader
  uint32_t descriptor_sets = 4;                   ///< maxBoundDescriptorSets
  uint32_t allocations = 4096;                    ///< maxMemoryAllocationCount, of one opened device
  uint32_t invocations = 128;                     ///< maxComputeWorkGroupInvocations
  std::array<uint32_t, 3> local = {128, 128, 64}; ///< maxComputeWorkGroupSize
  std::array<uint32_t, 3> groups = {65535, 65535, 65535};
  uint32_t shared_bytes = 16384; ///< maxComputeSharedMemorySize
  uint32_t subgroup = 1, subgroup_min = 1,
           subgroup_max = 1; ///< subgroup_min and subgroup_max differ if the size can be chosen
  /// Total iterations of all loops of an invocation after which the driver silently ends them.
  uint64_t loop_steps = UINT64_MAX;
};

struct Heap {
  uint64_t bytes = 0, available = 0;
  bool device_local = false;
};
struct MemoryType {
  uint32_t heap = 0;
  bool device_local = false, host_visible = false, coherent = false, cached = false;
};

struct Inventory {
  std::string name, driver;
  Kind kind = Kind::other;
  uint32_t api = 0; ///< VK_MAKE_API_VERSION of the device
  uint32_t vendor = 0, device = 0, driver_version = 0;
  std::array<uint8_t, 16> cache_uuid = {}; ///< pipelineCacheUUID
  Limits limits;
  std::set<std::string> features; ///< names as in docs/artifact-format.md
  std::vector<Heap> heaps;
  std::vector<MemoryType> types;
  double timestamp_ns = 0;     ///< nanoseconds of a tick; 0 if the queue has no time stamps
  uint64_t timestamp_mask = 0; ///< valid bits of a time stamp, which wraps around
  int queue_family = -1;       ///< index of a queue family for compute; -1 if there is none
  std::string emulates;        ///< name of the profile that limits the device
  bool memory_apart = false;   ///< set by a profile: the host cannot map memory that only the device uses

  /// Why Linnet cannot use the device; empty if it can.
  std::string refusal() const;
  /// Index of a memory type among the `allowed` bits with these properties; -1: none.
  int memoryType(uint32_t allowed, bool device_local, bool host_visible) const;
  /// Index of a memory type for memory that only the device uses, or that the `host` also reads and writes.
  int memoryFor(uint32_t allowed, bool host) const;
  /// Whether the host can map memory of this type. Memory with `host` is always mappable.
  bool hostReaches(int type, bool host) const;
};

/// Limits `inventory` to the profile; it never adds anything. `text` is JSON as in docs/devices: "name",
/// "limits" by their Vulkan names, "features" by those of the artifact format. Unknown keys and names are
/// errors.
Result<void> emulate(Inventory &inventory, const std::string &text, const std::string &where);

} // namespace linnet::vulkan
