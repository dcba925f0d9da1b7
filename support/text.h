// Text files in UTF-8, with or without a byte order mark.
#pragma once
#include "support/result.h"
#include <string>
#include <string_view>

namespace linnet {

/// `text` without a leading UTF-8 byte order mark. A mark of UTF-16 or UTF-32 is an error that names `where`.
Result<std::string_view> withoutByteOrderMark(std::string_view text, const std::string &where);

} // namespace linnet
