// What a Vulkan device has: limits, features and memories, as plain data. Plans are made from this alone, so
// they are tested without a GPU, and a profile of another device can stand in for it (--emulate-limits).
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
      0; ///< minImportedHostPointerAlignment, bytes; 0: memory of the host cannot be the device's
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
           subgroup_max = 1; ///< min and max differ where a size can be asked for
  /// Steps of all loops of an invocation together, behind which the driver ends them without a word.
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
  double timestamp_ns = 0;     ///< of a tick; 0: the queue has no time stamps
  uint64_t timestamp_mask = 0; ///< of the bits that count; they wrap around
  int queue_family = -1;       ///< that computes; -1: none
  std::string emulates;        ///< name of the profile that made it poorer
  bool memory_apart = false;   ///< of a profile: the host reaches nothing that the device alone uses

  /// Why Linnet cannot use it; empty: it can.
  std::string refusal() const;
  /// Number of a memory type among `allowed` bits that has what is asked for; -1: none.
  int memoryType(uint32_t allowed, bool device_local, bool host_visible) const;
  /// The same for what the device alone uses, or what the `host` reads and writes as well.
  int memoryFor(uint32_t allowed, bool host) const;
  /// Whether the host may reach what lies in memory of this type. What is of use to it, too, it always does.
  bool hostReaches(int type, bool host) const;
};

/// Takes away from `inventory` what the profile lacks; never adds. `text` is JSON as in docs/devices: "name",
/// "limits" by their Vulkan names, "features" by those of the artifact format. Unknown keys and names are
/// errors.
Result<void> emulate(Inventory &inventory, const std::string &text, const std::string &where);

} // namespace linnet::vulkan
