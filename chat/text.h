// Python's operations on strings. All texts are well-formed UTF-8; positions count code points.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::chat {

size_t length(std::string_view text);
std::vector<std::string_view> characters(std::string_view text);
/// Number of bytes of the leading white space, in the sense of str.isspace().
size_t leadingSpace(std::string_view text);

std::string_view stripped(std::string_view text, bool left, bool right);
/// The same for characters of `set` instead of white space.
std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalized(std::string_view text);
/// Jinja2's filter title: capitalizes each part between white space and -({[<.
std::string titled(std::string_view text);

/// Replaces up to `count` occurrences; all if it is negative.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, int64_t count);
/// At most `most` cuts; no limit if it is negative. `reverse` cuts from the right. `separator` is not empty.
std::vector<std::string_view> splitAt(std::string_view text, std::string_view separator, int64_t most,
                                      bool reverse);
std::vector<std::string_view> splitAtSpace(std::string_view text, int64_t most, bool reverse);
/// str.splitlines()
std::vector<std::string_view> lines(std::string_view text, bool keep_ends);

/// Python's repr() of a string and of a float.
std::string quotedText(std::string_view text);
std::string realText(double value);

} // namespace linnet::chat
