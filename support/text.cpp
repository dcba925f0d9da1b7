#include "support/text.h"
#include "support/error.h"

namespace linnet {

Result<std::string_view> withoutByteOrderMark(std::string_view text, const std::string &where) {
  constexpr std::string_view kUtf8 = "\xEF\xBB\xBF";
  if (text.starts_with(kUtf8)) text.remove_prefix(kUtf8.size());
  // UTF-32 is checked first: the mark of little-endian UTF-32 starts with that of UTF-16.
  using namespace std::string_view_literals;
  for (auto [mark, name] : {std::pair("\xFF\xFE\0\0"sv, "UTF-32"), std::pair("\0\0\xFE\xFF"sv, "UTF-32"),
                            std::pair("\xFF\xFE"sv, "UTF-16"), std::pair("\xFE\xFF"sv, "UTF-16")})
    if (text.starts_with(mark))
      return errorf("{}: expected text in UTF-8, found {} (by its byte order mark)", where, name);
  return text;
}

} // namespace linnet
