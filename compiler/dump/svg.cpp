#include "compiler/dump/svg.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace linnet::dump {
namespace {

/// Width of a letter relative to the font size. Common monospaced fonts have 0.602.
constexpr double kLetterWidth = 0.605;

struct Letter {
  size_t length;  ///< bytes
  uint32_t point; ///< 0 for invalid UTF-8
};

Letter letterAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {1, first};
  const size_t length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first >= 0xf5 || at + length > text.size()) return {1, 0};
  uint32_t point = first & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {1, 0};
    point = point << 6 | (byte(at + i) & 0x3f);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < kLeast[length] || surrogate || point > 0x10ffff || (point & 0xfffe) == 0xfffe) return {1, 0};
  return {length, point};
}

bool isPlain(uint32_t point) { return point >= 0x20 && !(point >= 0x7f && point < 0xa0); }
size_t widthOf(uint32_t point) { return point >= 0x1100 && (point < 0x2000 || point >= 0x2e80) ? 2 : 1; }

} // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letterAt(text, at);
    if (letter.point == '&')
      out += "&amp;";
    else if (letter.point == '<')
      out += "&lt;";
    else if (letter.point == '>')
      out += "&gt;";
    else if (letter.point == '"')
      out += "&quot;";
    else if (letter.point == '\n' || isPlain(letter.point))
      out += text.substr(at, letter.length);
    else
      out += '?';
    at += letter.length;
  }
  return out;
}

size_t columns(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letterAt(text, at);
    count += widthOf(letter.point);
    at += letter.length;
  }
  return count;
}

std::string shortened(std::string_view text, size_t most) {
  if (columns(text) <= most) return std::string(text);
  size_t at = 0, count = 0;
  while (at < text.size()) {
    const Letter letter = letterAt(text, at);
    if (count + widthOf(letter.point) + 1 > most) break;
    count += widthOf(letter.point);
    at += letter.length;
  }
  return std::string(text.substr(0, at)) + "…";
}

double textWidth(std::string_view text, double size) {
  return static_cast<double>(columns(text)) * size * kLetterWidth;
}

std::string fileName(std::string_view text) {
  std::string name(text.substr(0, 120));
  for (char &letter : name) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
    if (!plain) letter = '_';
  }
  if (name.empty() || name.front() == '.' || name.front() == '-') name.insert(0, 1, '_');
  return name;
}

std::string bytesText(int64_t bytes) {
  if (bytes < 0) return "unknown size";
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double amount = static_cast<double>(bytes) / 1024;
  const char *units[] = {"KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (amount >= 1024 && unit < 3) amount /= 1024, ++unit;
  return fmt::format("{:.1f} {}", amount, units[unit]);
}

void Svg::rect(const Box &box, std::string_view attributes, std::string_view tooltip) {
  body += fmt::format(R"(<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" {})", box.x, box.y,
                      box.width, box.height, attributes);
  body += tooltip.empty() ? "/>\n" : "><title>" + escaped(tooltip) + "</title></rect>\n";
}

void Svg::text(double x, double y, std::string_view text, double size, std::string_view attributes) {
  body += fmt::format(R"(<text x="{:.2f}" y="{:.2f}" font-size="{:g}"{}{}>{}</text>)", x, y, size,
                      attributes.empty() ? "" : " ", attributes, escaped(text));
  body += '\n';
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view attributes) {
  body += fmt::format(R"(<line x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}" {}/>)", x1, y1, x2, y2,
                      attributes);
  body += '\n';
}

void Svg::path(const std::string &d, std::string_view attributes, std::string_view tooltip) {
  body += fmt::format(R"(<path d="{}" {})", d, attributes);
  body += tooltip.empty() ? "/>\n" : "><title>" + escaped(tooltip) + "</title></path>\n";
}

std::string Svg::finish(double width, double height, std::string_view title) const {
  return fmt::format(R"(<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}">
<title>{2}</title>
<style>text{{font-family:"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",monospace;white-space:pre;fill:#1b1f24}}</style>
<rect x="0" y="0" width="{0:.0f}" height="{1:.0f}" fill="#ffffff"/>
{3}</svg>
)",
                     width, height, escaped(title), body);
}

} // namespace linnet::dump
