// The directory of a ZIP archive whose members are stored as they are, as torch.save writes it.
#pragma once
#include "support/result.h"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

/// Members by name, as views of the archive's bytes. Checked: every offset and length lies in the file, names
/// are unique, each member's own header repeats its name. Compressed and encrypted members are refused.
using ZipMembers = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// Whether a file of these first bytes is a ZIP archive.
bool isZip(std::string_view bytes);
/// `where` starts errors. ZIP64 is read.
Result<ZipMembers> readZip(std::span<const std::byte> archive, const std::string &where);

} // namespace linnet
