#include "chat/text.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

/// Code points first, first + stride, ..., last; each maps to itself plus delta.
struct CaseRun {
  uint32_t first, last, stride;
  int32_t delta;
};
struct LongCase {
  uint32_t code;
  const char *text;
};
#include "chat/case_tables.inc"

constexpr uint32_t kSmallSigma = 0x3C3, kFinalSigma = 0x3C2, kCapitalSigma = 0x3A3;

template <size_t N, size_t M>
void appendMapped(std::string &out, uint32_t code, const CaseRun (&runs)[N], const LongCase (&longer)[M]) {
  for (const LongCase &entry : longer)
    if (entry.code == code) return void(out += entry.text);
  // The runs are ordered by their first code point, and may interleave.
  for (const CaseRun &run : runs) {
    if (run.first > code) break;
    if (code <= run.last && (code - run.first) % run.stride == 0)
      return unicode::append(out, static_cast<uint32_t>(static_cast<int64_t>(code) + run.delta));
  }
  unicode::append(out, code);
}

bool isSpace(uint32_t code) {
  constexpr uint32_t kFileSeparator = 0x1C, kUnitSeparator = 0x1F; // space in Python, not in Unicode
  return (code >= kFileSeparator && code <= kUnitSeparator) ||
         unicode::classOf(code) == unicode::Class::Space;
}

template <class Drop> std::string_view strippedIf(std::string_view text, bool left, bool right, Drop drop) {
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!drop(unicode::next(text.data(), next))) break;
    begin = next;
  }
  while (right && end > begin) {
    size_t last = unicode::previous(text, end), at = last;
    if (!drop(unicode::next(text.data(), at))) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

/// Characters that repr() escapes: control and format characters, private ones, and spaces except U+0020.
bool isPrintable(uint32_t code) {
  constexpr std::pair<uint32_t, uint32_t> kHidden[] = {
      {0x7F, 0xA0},     {0xAD, 0xAD},     {0x600, 0x605},   {0x61C, 0x61C},     {0x6DD, 0x6DD},
      {0x70F, 0x70F},   {0x890, 0x891},   {0x8E2, 0x8E2},   {0x1680, 0x1680},   {0x180E, 0x180E},
      {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000},   {0xE000, 0xF8FF},
      {0xFEFF, 0xFEFF}, {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0xE00FF}, {0xE01F0, 0x10FFFF}};
  if (code < 0x20) return false;
  return std::none_of(std::begin(kHidden), std::end(kHidden),
                      [&](auto range) { return code >= range.first && code <= range.second; });
}

} // namespace

size_t length(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80; // not a continuation byte
  }));
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0, begin = 0; at < text.size(); begin = at) {
    unicode::next(text.data(), at);
    out.push_back(text.substr(begin, at - begin));
  }
  return out;
}

size_t leadingSpace(std::string_view text) { return text.size() - stripped(text, true, false).size(); }

std::string_view stripped(std::string_view text, bool left, bool right) {
  return strippedIf(text, left, right, isSpace);
}

std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right) {
  return strippedIf(text, left, right, [&](uint32_t code) {
    for (size_t at = 0; at < set.size();)
      if (unicode::next(set.data(), at) == code) return true;
    return false;
  });
}

std::string upper(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    uint32_t code = unicode::next(text.data(), at);
    if (code < 0x80)
      out += static_cast<char>(code >= 'a' && code <= 'z' ? code - ('a' - 'A') : code);
    else
      appendMapped(out, code, kUpperRuns, kUpperLong);
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  bool word = false; // whether a letter is before this character
  for (size_t at = 0; at < text.size();) {
    uint32_t code = unicode::next(text.data(), at), next = 0;
    if (size_t ahead = at; code == kCapitalSigma && ahead < text.size())
      next = unicode::next(text.data(), ahead);
    if (code < 0x80)
      out += static_cast<char>(code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code);
    else if (code == kCapitalSigma)
      unicode::append(out,
                      word && unicode::classOf(next) != unicode::Class::Letter ? kFinalSigma : kSmallSigma);
    else
      appendMapped(out, code, kLowerRuns, kLowerLong);
    word = unicode::classOf(code) == unicode::Class::Letter;
  }
  return out;
}

std::string capitalized(std::string_view text) {
  if (text.empty()) return "";
  size_t first = 0;
  unicode::next(text.data(), first);
  return upper(text.substr(0, first)) + lower(text.substr(first));
}

std::string titled(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t end = 0, next = 0;
    for (; next < text.size(); end = next) {
      uint32_t code = unicode::next(text.data(), next);
      if (isSpace(code) ||
          (code < 0x80 && std::string_view("-({[<").find(static_cast<char>(code)) != text.npos))
        break;
    }
    out += capitalized(text.substr(0, end));
    out += text.substr(end, next - end); // the separator, if there is one
    text.remove_prefix(next);
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, int64_t count) {
  std::string out;
  size_t at = 0;
  while (count != 0) {
    size_t found = text.find(from, at);
    if (from.empty()) { // before every character and at the end
      found = at;
      if (found > text.size()) break;
      out += to;
      if (found == text.size()) return out;
      unicode::next(text.data(), at);
      out += text.substr(found, at - found);
    } else {
      if (found == text.npos) break;
      out += text.substr(at, found - at);
      out += to;
      at = found + from.size();
    }
    --count;
  }
  return out += text.substr(std::min(at, text.size()));
}

std::vector<std::string_view> splitAt(std::string_view text, std::string_view separator, int64_t most,
                                      bool reverse) {
  std::vector<std::string_view> out;
  for (; most != 0; --most) {
    size_t at = reverse ? text.rfind(separator) : text.find(separator);
    if (at == text.npos) break;
    std::string_view before = text.substr(0, at), after = text.substr(at + separator.size());
    out.push_back(reverse ? after : before);
    text = reverse ? before : after;
  }
  out.push_back(text);
  if (reverse) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> splitAtSpace(std::string_view text, int64_t most, bool reverse) {
  std::vector<std::string_view> out;
  text = stripped(text, !reverse, reverse);
  while (!text.empty()) {
    size_t begin = 0, end = 0; // of the first space, or behind the last one if reversed
    if (most == 0) {
      out.push_back(text);
      break;
    }
    bool found = false;
    if (reverse) {
      for (end = text.size(); end > 0 && !found;) {
        size_t last = unicode::previous(text, end), at = last;
        if (isSpace(unicode::next(text.data(), at)))
          found = true;
        else
          end = last;
      }
      out.push_back(text.substr(end));
      text = stripped(text.substr(0, end), false, true);
    } else {
      for (size_t at = 0; at < text.size() && !found;) {
        begin = at;
        found = isSpace(unicode::next(text.data(), at));
        if (!found) begin = at;
      }
      out.push_back(text.substr(0, begin));
      text = stripped(text.substr(begin), true, false);
    }
    --most;
  }
  if (reverse) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> lines(std::string_view text, bool keep_ends) {
  auto ends = [](uint32_t code) {
    constexpr uint32_t kRecordSeparator = 0x1E, kNextLine = 0x85, kLineSeparator = 0x2028,
                       kParagraph = 0x2029;
    return (code >= '\n' && code <= '\r') || (code >= 0x1C && code <= kRecordSeparator) ||
           code == kNextLine || code == kLineSeparator || code == kParagraph;
  };
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    uint32_t code = unicode::next(text.data(), at);
    if (!ends(code)) continue;
    if (code == '\r' && at < text.size() && text[at] == '\n') ++at;
    out.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) out.push_back(text.substr(begin));
  return out;
}

std::string quotedText(std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    size_t begin = at;
    uint32_t code = unicode::next(text.data(), at);
    if (code == static_cast<uint32_t>(quote) || code == '\\')
      (out += '\\') += static_cast<char>(code);
    else if (code == '\n')
      out += "\\n";
    else if (code == '\r')
      out += "\\r";
    else if (code == '\t')
      out += "\\t";
    else if (isPrintable(code))
      out += text.substr(begin, at - begin);
    else if (code <= 0xFF)
      out += fmt::format("\\x{:02x}", code);
    else if (code <= 0xFFFF)
      out += fmt::format("\\u{:04x}", code);
    else
      out += fmt::format("\\U{:08x}", code);
  }
  return out += quote;
}

std::string realText(double value) {
  if (std::isnan(value)) return "nan";
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == text.npos) text += ".0";
  return text;
}

} // namespace linnet::chat
