// Writes SVG: shapes, and text that is escaped and measured. Text is monospaced, so its width is known
// without a font.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::dump {

/// Escapes text for text and attribute values of XML and HTML. Invalid characters (control characters, broken
/// UTF-8) become '?'.
std::string escaped(std::string_view text);
/// Number of columns of the text; a wide character has two.
size_t columns(std::string_view text);
/// The text cut to `most` columns, with an ellipsis at the end.
std::string shortened(std::string_view text, size_t most);
/// Width in pixels of text with a font size of `size` pixels.
double textWidth(std::string_view text, double size);
/// A file name from the text: letters, digits, '.', '_' and '-' stay, all else becomes '_'. At most 120
/// bytes, not empty and not hidden.
std::string fileName(std::string_view text);
/// "3.0 KiB"
std::string bytesText(int64_t bytes);

class Svg {
public:
  struct Box {
    double x, y, width, height;
  };
  /// `attributes` is written verbatim: class, fill, stroke.
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
