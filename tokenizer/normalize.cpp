// Applies a normalizer to text.
#include "tokenizer/pattern.h"
#include "tokenizer/unicode.h"

namespace linnet {
namespace {

std::string_view stripped(std::string_view text, bool left, bool right) {
  auto isSpace = [](uint32_t c) { return unicode::classOf(c) == unicode::Class::Space; };
  size_t begin = 0, end = text.size();
  for (size_t next = 0; left && begin < end; begin = next)
    if (!isSpace(unicode::next(text.data(), next))) break;
  while (right && end > begin) {
    size_t at = end - 1;
    while (at > begin && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    size_t next = at;
    if (!isSpace(unicode::next(text.data(), next))) break;
    end = at;
  }
  return text.substr(begin, end - begin);
}

} // namespace

Result<std::string> Stages::normalized(std::string_view text) const {
  static constexpr size_t kMostGrowth = 256, kAlways = 1 << 16; // real normalizers make a few bytes of one
  auto isTooLong = [&](size_t size) { return size > kAlways + kMostGrowth * text.size(); };
  auto tooLong = [] {
    return errorf("the normalizer makes more than {} bytes of each byte of the text", kMostGrowth);
  };
  std::string out(text);
  for (const NormalizerStep &step : normalizer) {
    switch (step.kind) {
    case NormalizerStep::Kind::Form:
      out = text_tables::normalized(out, step.form);
      break;
    case NormalizerStep::Kind::Lowercase:
      out = text_tables::lowerCase(out);
      break;
    case NormalizerStep::Kind::Prepend:
      if (!out.empty()) out.insert(0, step.content);
      break;
    case NormalizerStep::Kind::Replace: {
      std::string replaced;
      replaced.reserve(out.size() + out.size() / 4);
      LINNET_TRY(forEachPart(step.pattern, out, [&](size_t begin, size_t end, bool match) -> Result<void> {
        if (match)
          replaced += step.content;
        else
          replaced.append(out, begin, end - begin);
        if (isTooLong(replaced.size())) return tooLong();
        return {};
      }));
      out = std::move(replaced);
      break;
    }
    case NormalizerStep::Kind::Strip:
      out = std::string(stripped(out, step.left, step.right));
      break;
    }
    if (isTooLong(out.size())) return tooLong();
  }
  return out;
}

} // namespace linnet
