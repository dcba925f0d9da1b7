// Files about one device and its driver, in Linnet's cache folder. What another driver left, an older version
// of it or a damaged disk is not taken for this one's: it counts as missing and is made anew.
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
  /// `kind`: the end of its name, of at most 16 letters. Reads what is there.
  DeviceFile(const Inventory &inventory, std::string_view kind);
  /// "": there is no place for it.
  static std::string path(const Inventory &inventory, std::string_view kind);

  /// Nothing where the file is missing, another device's or driver's, or damaged.
  std::span<const std::byte> data() const;
  /// Beside and renamed; an error where it cannot be written.
  Result<void> write(std::span<const std::byte> data) const;

private:
  const Inventory &inventory;
  std::string kind, place;
  MappedFile file;
};

} // namespace linnet::vulkan
