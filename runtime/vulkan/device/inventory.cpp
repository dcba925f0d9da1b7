#include "runtime/vulkan/device/inventory.h"
#include "runtime/vulkan/device/features.h"
#include "support/error.h"
#include "support/json.h"
#include "support/suggestion.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

template <class T> void lower(T &limit, uint64_t to) {
  limit = static_cast<T>(std::min<uint64_t>(limit, to));
}

Result<uint64_t> number(const Json &value, const std::string &where, const std::string &key) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > 0) return value.get<uint64_t>();
  return errorf("{}: '{}': expected a number from 1, found {}", where, key, value.dump());
}

Result<void> lowerAxes(std::array<uint32_t, 3> &limit, const Json &value, const std::string &where,
                       const std::string &key) {
  if (!value.is_array() || value.size() != 3)
    return errorf("{}: '{}': expected three numbers, found {}", where, key, value.dump());
  for (size_t i = 0; i < 3; ++i) {
    LINNET_ASSIGN(uint64_t to, number(value[i], where, key));
    lower(limit[i], to);
  }
  return {};
}

Result<void> emulateLimit(Inventory &inventory, const std::string &key, const Json &value,
                          const std::string &where) {
  Limits &limits = inventory.limits;
  if (key == "maxComputeWorkGroupSize") return lowerAxes(limits.local, value, where, key);
  if (key == "maxComputeWorkGroupCount") return lowerAxes(limits.groups, value, where, key);
  LINNET_ASSIGN(uint64_t to, number(value, where, key));
  if (key == "maxStorageBufferRange")
    lower(limits.storage_range, to);
  else if (key == "minStorageBufferOffsetAlignment")
    limits.storage_alignment = std::max(limits.storage_alignment, to);
  else if (key == "maxMemoryAllocationSize")
    lower(limits.allocation, to);
  else if (key == "maxTexelBufferElements")
    lower(limits.texels, to);
  else if (key == "maxPushConstantsSize")
    lower(limits.push_bytes, to);
  else if (key == "maxPerStageDescriptorStorageBuffers")
    lower(limits.bindings, to);
  else if (key == "maxBoundDescriptorSets")
    lower(limits.descriptor_sets, to);
  else if (key == "maxMemoryAllocationCount")
    lower(limits.allocations, to);
  else if (key == "maxComputeWorkGroupInvocations")
    lower(limits.invocations, to);
  else if (key == "maxComputeSharedMemorySize")
    lower(limits.shared_bytes, to);
  else if (key == "heapBytes")
    for (Heap &heap : inventory.heaps) lower(heap.bytes, to), lower(heap.available, to);
  else
    return errorf("{}: unknown limit '{}'", where, key);
  if (limits.storage_alignment > 256 || (limits.storage_alignment & (limits.storage_alignment - 1)))
    return errorf("{}: '{}': expected a power of two up to 256, found {}", where, key, to);
  return {};
}

Result<void> keepFeatures(Inventory &inventory, const Json &named, const std::string &where) {
  std::set<std::string> kept;
  for (const Json &feature : named) {
    if (!feature.is_string()) return errorf("{}: a feature that is not a text: {}", where, feature.dump());
    const std::string name = feature.get<std::string>();
    if (!isFeatureName(name)) {
      const std::string meant = suggestion(name, featureNames());
      return errorf("{}: unknown feature '{}'{}", where, name,
                    meant.empty() ? fmt::format(", expected some of: {}", fmt::join(featureNames(), ", "))
                                  : meant);
    }
    if (inventory.features.count(name)) kept.insert(name);
  }
  inventory.features = std::move(kept);
  return {};
}

} // namespace

const char *kindName(Kind kind) {
  switch (kind) {
  case Kind::integrated:
    return "integrated GPU";
  case Kind::discrete:
    return "discrete GPU";
  case Kind::virtual_gpu:
    return "virtual GPU";
  case Kind::cpu:
    return "CPU";
  case Kind::other:
    break;
  }
  return "other";
}

std::string Inventory::refusal() const {
  uint32_t major = api >> 22 & 0x7f, minor = api >> 12 & 0x3ff;
  if (major < 1 || (major == 1 && minor < 1))
    return fmt::format("it has Vulkan {}.{}, 1.1 is needed", major, minor);
  if (queue_family < 0) return "none of its queues computes";
  return "";
}

int Inventory::memoryType(uint32_t allowed, bool device_local, bool host_visible) const {
  int best = -1;
  for (size_t i = 0; i < types.size(); ++i) {
    const MemoryType &type = types[i];
    if (!(allowed >> i & 1) || (device_local && !type.device_local)) continue;
    if (host_visible && (!type.host_visible || !type.coherent)) continue;
    // Cached memory is faster for the host to read.
    if (best < 0 || (host_visible && type.cached && !types[static_cast<size_t>(best)].cached))
      best = static_cast<int>(i);
  }
  return best;
}

// Chooses the memory type. Memory that only the device uses is mapped directly if memory is unified, or if the host
// sees all of a card's memory. Many cards show only a window of 256 MiB, a heap that is too small for weights. Weights
// are then in device memory and filled through staging. Memory that the host uses, too, is host-visible.
int Inventory::memoryFor(uint32_t allowed, bool host) const {
  auto isWindow = [&](int type) {
    const Heap &mine = heaps[types[static_cast<size_t>(type)].heap];
    return std::any_of(heaps.begin(), heaps.end(),
                       [&](const Heap &heap) { return heap.device_local && heap.bytes > mine.bytes; });
  };
  int type = memoryType(allowed, !host, true);
  if (!host && type >= 0 && isWindow(type)) type = -1;
  if (type < 0) type = memoryType(allowed, !host, host);
  return type < 0 ? memoryType(allowed, false, host) : type;
}

bool Inventory::hostReaches(int type, bool host) const {
  const MemoryType &chosen = types[static_cast<size_t>(type)];
  return chosen.host_visible && chosen.coherent && (host || !memory_apart);
}

Result<void> emulate(Inventory &inventory, const std::string &text, const std::string &where) {
  LINNET_ASSIGN(Json profile, parseJson(text, where));
  if (!profile.is_object()) return errorf("{}: no JSON object", where);
  for (auto &[key, value] : profile.items()) {
    if (key == "limits" && value.is_object()) {
      for (auto &[limit, to] : value.items()) LINNET_TRY(emulateLimit(inventory, limit, to, where));
    } else if (key == "features" && value.is_array()) {
      LINNET_TRY(keepFeatures(inventory, value, where));
    } else if (key == "name" && value.is_string()) {
      inventory.emulates = value.get<std::string>();
    } else if (key == "memory" && value == "apart") {
      inventory.memory_apart = true;
    } else if (key == "kind" && value == "gpu") {
      inventory.features.erase("cpu"),
          inventory.features.insert("gpu"); // runs after the key "features", because keys are sorted
    } else if (key != "source" && key != "note") {
      return errorf("{}: unknown or ill-typed key '{}', expected name, source, note, kind (\"gpu\"), memory "
                    "(\"apart\"), "
                    "limits (an object), features (an array)",
                    where, key);
    }
  }
  return {};
}

} // namespace linnet::vulkan
