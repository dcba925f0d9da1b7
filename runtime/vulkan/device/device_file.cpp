#include "runtime/vulkan/device/device_file.h"
#include "runtime/artifact/format.h"
#include "support/cache_directory.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace linnet::vulkan {
namespace {

// The header before the data. Drivers check only the header of their cache data, and some crash on damaged
// contents, so the data are hashed.
struct Header {
  char magic[8] = {'L', 'N', 'T', 'V', 'K', 'D', 'V', '2'};
  char kind[16] = {};
  uint32_t vendor = 0, device = 0, driver_version = 0, api = 0;
  uint8_t uuid[16] = {};
  uint64_t words = 0; ///< hash of the driver's description of itself
  uint64_t bytes = 0, hash = 0;
};

// Versions and UUIDs do not identify drivers: all releases of Mesa's llvmpipe have version 1 and the UUID
// "val-%s". Its texts contain the releases of Mesa and LLVM and the vector width.
uint64_t wordsOf(const Inventory &inventory) {
  const std::string words = inventory.name + "\n" + inventory.driver;
  return format::hashBytes(std::as_bytes(std::span(words)));
}

Header headerFor(const Inventory &inventory, const std::string &kind, std::span<const std::byte> data) {
  Header header;
  std::copy_n(kind.begin(), std::min(kind.size(), sizeof header.kind), header.kind);
  header.vendor = inventory.vendor, header.device = inventory.device;
  header.driver_version = inventory.driver_version, header.api = inventory.api;
  std::copy(inventory.cache_uuid.begin(), inventory.cache_uuid.end(), header.uuid);
  header.words = wordsOf(inventory);
  header.bytes = data.size();
  header.hash = format::hashBytes(data);
  return header;
}

} // namespace

std::string DeviceFile::path(const Inventory &inventory, std::string_view kind) {
  std::string directory = cacheDirectory(), name;
  if (directory.empty()) return "";
  for (uint8_t byte : inventory.cache_uuid) name += fmt::format("{:02x}", byte);
  return fmt::format("{}/vulkan/{:x}-{:x}-{}-{:016x}.{}", directory, inventory.vendor, inventory.device, name,
                     wordsOf(inventory), kind);
}

DeviceFile::DeviceFile(const Inventory &inventory, std::string_view kind)
    : inventory(inventory), kind(kind), place(path(inventory, kind)) {
  if (place.empty() || !fileExists(place)) return;
  if (auto opened = MappedFile::open(place)) file = std::move(*opened);
}

std::span<const std::byte> DeviceFile::data() const {
  auto bytes = file.bytes();
  if (bytes.size() < sizeof(Header)) return {};
  auto data = bytes.subspan(sizeof(Header));
  Header expected = headerFor(inventory, kind, data);
  return std::memcmp(bytes.data(), &expected, sizeof expected) == 0 ? data : std::span<const std::byte>();
}

Result<void> DeviceFile::write(std::span<const std::byte> data) const {
  if (place.empty()) return Error{"there is no cache folder"};
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(place).parent_path(), error);
  if (error) return errorf("{}: {}", place, error.message());
  LINNET_ASSIGN(AtomicFile to, AtomicFile::create(place));
  Header header = headerFor(inventory, kind, data);
  LINNET_TRY(to.write(std::as_bytes(std::span(&header, 1))));
  LINNET_TRY(to.write(data));
  return to.commit();
}

} // namespace linnet::vulkan
