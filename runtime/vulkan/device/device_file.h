// Files about one device and its driver, in Linnet's cache folder. A file of another driver or driver
// version, or a damaged file, counts as missing and is replaced.
#pragma once
#include "runtime/vulkan/device/inventory.h"
#include "support/file.h"
#include "support/result.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace linnet::vulkan {

class DeviceFile {
public:
  /// Reads the file. `kind` is the end of its name, at most 16 letters.
  DeviceFile(const Inventory &inventory, std::string_view kind);
  /// The path of the file; "" if there is no cache folder.
  static std::string path(const Inventory &inventory, std::string_view kind);

  /// The contents; empty if the file is missing, damaged, or of another device or driver.
  std::span<const std::byte> data() const;
  /// Replaces the file atomically. An error if it cannot be written.
  Result<void> write(std::span<const std::byte> data) const;

private:
  const Inventory &inventory;
  std::string kind, place;
  MappedFile file;
};

} // namespace linnet::vulkan
