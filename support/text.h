// Text files as people save them: UTF-8, with or without a byte order mark.
#pragma once
#include "support/result.h"
#include <string>
#include <string_view>

namespace linnet {

/// `text` without the UTF-8 byte order mark that it may start with. Text that starts with the mark of UTF-16
/// or UTF-32 is an error that names `where`.
Result<std::string_view> withoutByteOrderMark(std::string_view text, const std::string &where);

} // namespace linnet
