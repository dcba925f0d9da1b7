// Reads the directory of a ZIP archive with uncompressed members, as torch.save writes it.
#pragma once
#include "support/result.h"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

/// Members by name, as views of the archive's bytes. All offsets and lengths are inside the file, names are
/// unique, and each member's header repeats its name. Compressed and encrypted members are errors.
using ZipMembers = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// Whether a file with these first bytes is a ZIP archive.
bool isZip(std::string_view bytes);
/// Reads the directory, also of ZIP64. Errors begin with `where`.
Result<ZipMembers> readZip(std::span<const std::byte> archive, const std::string &where);

} // namespace linnet
