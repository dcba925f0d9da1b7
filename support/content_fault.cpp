#include "support/content_fault.h"

#include <algorithm>
#include <cctype>

namespace linnet {
namespace {

bool startsWithIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  return std::equal(lower.begin(), lower.end(), text.begin(),
                    [](char want, char c) { return want == std::tolower(static_cast<unsigned char>(c)); });
}

} // namespace

std::string contentFault(std::string_view bytes) {
  if (bytes.empty()) return "the file is empty";
  if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
    return "the file is a Git LFS pointer, not the file itself: 'git lfs pull' fetches it";
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3); // a byte order mark
  bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  if (startsWithIgnoringCase(bytes, "<!doctype html") || startsWithIgnoringCase(bytes, "<html"))
    return "the file is an HTML page: the download got a web page instead of the file";
  return {};
}

} // namespace linnet
