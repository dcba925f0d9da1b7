// Sets of code points: the classes of regular expressions and of pre-tokenizers.
#pragma once
#include "support/result.h"
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet {

class CharSet {
public:
  /// Adds the code points from `first` to `last`, both included.
  void add(uint32_t first, uint32_t last);
  void add(const CharSet &other);
  /// Adds a general category of Unicode 16.0: "L", "Lu", or a long name of one letter's class ("Letter").
  /// False if the name is not known.
  bool addCategory(std::string_view name);
  /// Adds Oniguruma's \w, \d or \s.
  void addWord();
  void addDigit();
  void addSpace();
  /// Adds punctuation as Hugging Face tokenizers defines it: ASCII's and Unicode 8.0's.
  void addPunctuation();
  /// Adds the other case of each ASCII letter, and U+017F and U+212A, whose lower case is an ASCII letter.
  void addOtherCase();
  void invert();
  /// Prepares contains(). Nothing may be added afterwards.
  void finish();

  bool contains(uint32_t c) const {
    if (size_t word = c >> 6; word < low.size()) return low[word] >> (c & 63) & 1;
    return containsHigh(c);
  }
  bool containsAbove(uint32_t c) const; // any code point >= c
  bool empty() const { return ranges.empty(); }

private:
  struct Range {
    uint32_t first, last;
  };
  void sort();
  bool containsHigh(uint32_t c) const;
  std::vector<Range> ranges;
  std::vector<uint64_t> low; // a bit for each code point up to the last member below 0x10000
};

} // namespace linnet
