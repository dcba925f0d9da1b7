// Detects files that a failed download or checkout left instead of the real ones.
#pragma once
#include <string>
#include <string_view>

namespace linnet {

/// "the file is empty", "the file is a Git LFS pointer, ..." or "the file is an HTML page, ..."; else the
/// empty string. `bytes` is the file or its beginning. No valid file for Linnet begins like these.
std::string contentFault(std::string_view bytes);

} // namespace linnet
