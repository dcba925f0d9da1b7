// Files that a download or a checkout left instead of the real ones.
#pragma once
#include <string>
#include <string_view>

namespace linnet {

/// "the file is empty", "the file is a Git LFS pointer, ..." or "the file is an HTML page, ...". Empty where
/// `bytes`, the whole file or its beginning, are none of these. No file that Linnet reads begins this way.
std::string contentFault(std::string_view bytes);

} // namespace linnet
