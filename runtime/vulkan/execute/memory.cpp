#include "runtime/vulkan/execute/memory.h"
#include "runtime/artifact/dispatch_check.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet::vulkan {
namespace {
constexpr uint64_t kStagingBytes = uint64_t(16) << 20;
uint64_t bufferAligned(uint64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}
VkBufferCreateInfo bufferInfo(uint64_t bytes) {
  VkBufferCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.size = bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  return info;
}
} // namespace

Buffers::~Buffers() {
  if (staging.handle) list.push_back(staging);
  for (const Buffer &buffer : list) {
    context->api.DestroyBuffer(context->device, buffer.handle, nullptr);
    context->api.FreeMemory(context->device, buffer.memory, nullptr);
    if (buffer.memory) --context->allocations;
  }
}

Result<Buffer> Buffers::make(uint64_t bytes, bool host, const char *what) {
  const Api &api = context->api;
  Buffer buffer;
  buffer.bytes = bytes;
  VkBufferCreateInfo info = bufferInfo(bytes);
  LINNET_TRY(check(api.CreateBuffer(context->device, &info, nullptr, &buffer.handle),
                   fmt::format("cannot make a buffer of {} bytes for {}", bytes, what)));
  VkMemoryRequirements needs;
  api.GetBufferMemoryRequirements(context->device, buffer.handle, &needs);
  const int type = context->inventory.memoryFor(needs.memoryTypeBits, host);
  auto fail = [&](const std::string &message) {
    api.DestroyBuffer(context->device, buffer.handle, nullptr);
    return Error{message};
  };
  if (type < 0) return fail(fmt::format("the device has no memory for {}", what));
  const MemoryType &chosen = context->inventory.types[static_cast<size_t>(type)];
  Heap &heap = context->inventory.heaps[chosen.heap];
  if (needs.size > heap.available)
    return fail(fmt::format("not enough memory on {}: {} bytes needed for {}, {} available",
                            context->inventory.name, needs.size, what, heap.available));
  const uint32_t most = context->inventory.limits.allocations;
  if (context->allocations >= most)
    return fail(
        fmt::format("{} allows {} allocations of memory, all of them are taken: expected one more for "
                    "{} ({} bytes)",
                    context->inventory.name, most, what, needs.size));
  VkMemoryAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  allocate.allocationSize = needs.size;
  allocate.memoryTypeIndex = static_cast<uint32_t>(type);
  auto made =
      check(api.AllocateMemory(context->device, &allocate, nullptr, &buffer.memory),
            fmt::format("cannot take {} bytes for {}, {} are available", needs.size, what, heap.available));
  if (!made) return fail(made.error().message);
  ++context->allocations;
  heap.available -= needs.size;
  LINNET_TRY(
      check(api.BindBufferMemory(context->device, buffer.handle, buffer.memory, 0), "cannot bind memory"));
  if (context->inventory.hostReaches(type, host)) {
    void *mapped = nullptr;
    LINNET_TRY(
        check(api.MapMemory(context->device, buffer.memory, 0, VK_WHOLE_SIZE, 0, &mapped), "cannot map"));
    buffer.mapped = static_cast<std::byte *>(mapped);
  }
  return buffer;
}

std::optional<uint32_t> Buffers::share(const MappedFile &file, std::span<const std::byte> bytes) {
  const Api &api = context->api;
  const Limits &limits = context->inventory.limits;
  const auto kHandle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  auto *begin = const_cast<std::byte *>(bytes.data());
  if (context->inventory.kind != Kind::cpu || context->inventory.memory_apart || !limits.host_pointer ||
      !api.GetMemoryHostPointerPropertiesEXT || reinterpret_cast<uintptr_t>(begin) % limits.host_pointer ||
      bytes.size() % limits.host_pointer || bytes.size() > limits.allocation ||
      context->allocations >= limits.allocations)
    return std::nullopt;
  VkMemoryHostPointerPropertiesEXT pointer = {};
  pointer.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT;
  if (api.GetMemoryHostPointerPropertiesEXT(context->device, kHandle, begin, &pointer) != VK_SUCCESS)
    return std::nullopt;
  VkExternalMemoryBufferCreateInfo external = {};
  external.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO;
  external.handleTypes = kHandle;
  VkBufferCreateInfo info = bufferInfo(bytes.size());
  info.pNext = &external;
  Buffer buffer;
  buffer.bytes = bytes.size(), buffer.mapped = begin;
  if (api.CreateBuffer(context->device, &info, nullptr, &buffer.handle) != VK_SUCCESS) return std::nullopt;
  VkMemoryRequirements needs;
  api.GetBufferMemoryRequirements(context->device, buffer.handle, &needs);
  int type = context->inventory.memoryType(needs.memoryTypeBits & pointer.memoryTypeBits, false, true);
  VkImportMemoryHostPointerInfoEXT from = {};
  from.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT;
  from.handleType = kHandle;
  from.pHostPointer = begin;
  VkMemoryAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  allocate.pNext = &from;
  allocate.allocationSize = bytes.size();
  allocate.memoryTypeIndex = static_cast<uint32_t>(std::max(type, 0));
  if (type < 0 || needs.size > bytes.size() ||
      api.AllocateMemory(context->device, &allocate, nullptr, &buffer.memory) != VK_SUCCESS ||
      api.BindBufferMemory(context->device, buffer.handle, buffer.memory, 0) != VK_SUCCESS) {
    api.DestroyBuffer(context->device, buffer.handle, nullptr);
    if (buffer.memory) api.FreeMemory(context->device, buffer.memory, nullptr);
    return std::nullopt;
  }
  ++context->allocations;
  files.push_back(file);
  list.push_back(buffer);
  return static_cast<uint32_t>(list.size() - 1);
}

Result<std::vector<Range>> Buffers::allocate(const std::vector<uint64_t> &sizes, bool host,
                                             const char *what) {
  uint64_t limit = context->inventory.limits.allocation;
  std::vector<Range> ranges;
  for (size_t first = 0; first < sizes.size();) {
    uint64_t bytes = 0;
    size_t last = first;
    for (; last < sizes.size(); ++last) {
      uint64_t size = std::max(bufferAligned(sizes[last]), kBufferAlignment);
      if (size > limit)
        return errorf("{}: one of {} bytes, the device allocates at most {} at once", what, size, limit);
      if (bytes + size > limit) break;
      ranges.push_back({static_cast<uint32_t>(list.size()), bytes, sizes[last]});
      bytes += size;
    }
    LINNET_ASSIGN(Buffer buffer, make(bytes, host, what));
    list.push_back(buffer);
    sum += bytes;
    first = last;
  }
  return ranges;
}

Result<void> Buffers::needStaging() {
  if (staging.handle) return {};
  LINNET_ASSIGN(staging, make(kStagingBytes, true, "staging"));
  if (!staging.mapped) return Error{"the device has no memory that the host can write"};
  return {};
}

Result<void> Buffers::once(const std::function<void(VkCommandBuffer)> &record) {
  const Api &api = context->api;
  LINNET_TRY(context->ready());
  LINNET_ASSIGN(VkCommandBuffer commands, context->newCommands());
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  auto result = check(api.BeginCommandBuffer(commands, &begin), "cannot record");
  VkMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  barrier.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
  auto all = [&](VkPipelineStageFlags to) {
    api.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, to, 0, 1, &barrier, 0, nullptr, 0,
                           nullptr);
  };
  all(VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
  record(commands);
  all(VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT);
  if (result) result = check(api.EndCommandBuffer(commands), "cannot record");
  if (result) result = context->submit(std::span(&commands, 1));
  // Buffers of a submission that does not end are freed with their pool.
  if (context->outcome != VK_TIMEOUT)
    api.FreeCommandBuffers(context->device, context->commands, 1, &commands);
  return result;
}

Result<void> Buffers::write(const Range &range, std::span<const std::byte> bytes) {
  LINNET_TRY(context->ready());
  const Buffer &buffer = list[range.buffer];
  if (buffer.mapped) {
    std::memcpy(buffer.mapped + range.offset, bytes.data(), bytes.size());
    return {};
  }
  LINNET_TRY(needStaging());
  for (uint64_t at = 0; at < bytes.size(); at += kStagingBytes) {
    uint64_t count = std::min<uint64_t>(kStagingBytes, bytes.size() - at);
    std::memcpy(staging.mapped, bytes.data() + at, count);
    VkBufferCopy copy{0, range.offset + at, count};
    LINNET_TRY(once([&](VkCommandBuffer commands) {
      context->api.CmdCopyBuffer(commands, staging.handle, buffer.handle, 1, &copy);
    }));
  }
  return {};
}

Result<void> Buffers::read(const Range &range, std::span<std::byte> bytes) {
  LINNET_TRY(context->ready());
  const Buffer &buffer = list[range.buffer];
  if (buffer.mapped) {
    std::memcpy(bytes.data(), buffer.mapped + range.offset, bytes.size());
    return {};
  }
  LINNET_TRY(needStaging());
  for (uint64_t at = 0; at < bytes.size(); at += kStagingBytes) {
    uint64_t count = std::min<uint64_t>(kStagingBytes, bytes.size() - at);
    VkBufferCopy copy{range.offset + at, 0, count};
    LINNET_TRY(once([&](VkCommandBuffer commands) {
      context->api.CmdCopyBuffer(commands, buffer.handle, staging.handle, 1, &copy);
    }));
    std::memcpy(bytes.data() + at, staging.mapped, count);
  }
  return {};
}

Result<void> Buffers::copy(std::span<const std::pair<Range, Range>> ranges) {
  if (ranges.empty()) return {};
  return once([&](VkCommandBuffer commands) {
    for (const auto &[from, to] : ranges) {
      const VkBufferCopy region = {from.offset, to.offset, from.size};
      context->api.CmdCopyBuffer(commands, list[from.buffer].handle, list[to.buffer].handle, 1, &region);
    }
  });
}

Result<void> Buffers::zero(std::span<const Range> ranges) {
  if (ranges.empty()) return {};
  return once([&](VkCommandBuffer commands) {
    for (const Range &range : ranges)
      context->api.CmdFillBuffer(commands, list[range.buffer].handle, range.offset,
                                 std::max<uint64_t>((range.size + 3) / 4 * 4, 4), 0);
  });
}

} // namespace linnet::vulkan
