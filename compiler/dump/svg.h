// Writing SVG: shapes, text that is escaped and measured. Text is monospaced, so that its width is known
// without a font: boxes are as wide as what is written in them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::dump {

/// For text and attribute values of XML and HTML. What XML cannot hold (control characters, broken UTF-8) becomes '?'.
std::string escaped(std::string_view text);
/// Columns that the text takes; a wide character takes two.
size_t columns(std::string_view text);
/// Cut to `most` columns, with an ellipsis at the end.
std::string shortened(std::string_view text, size_t most);
/// Width of text in `size` pixels high letters.
double textWidth(std::string_view text, double size);
/// Letters, digits, '.', '_' and '-' as they are, everything else '_'; at most 120 bytes, never empty or
/// hidden.
std::string fileName(std::string_view text);
/// "3.0 KiB"
std::string bytesText(int64_t bytes);

class Svg {
public:
  struct Box {
    double x, y, width, height;
  };
  /// `attributes` is written as it is: class, fill, stroke.
  void rect(const Box &box, std::string_view attributes, std::string_view tooltip = {});
  void text(double x, double y, std::string_view text, double size, std::string_view attributes = {});
  void line(double x1, double y1, double x2, double y2, std::string_view attributes);
  void path(const std::string &d, std::string_view attributes, std::string_view tooltip = {});
  /// Raw elements, `</g>` and the like.
  void raw(std::string_view text) { body += text, body += '\n'; }
  /// The whole file.
  std::string finish(double width, double height, std::string_view title) const;

private:
  std::string body;
};

} // namespace linnet::dump
