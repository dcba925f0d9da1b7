// tokenizer_ids TOKENIZER.json: reads texts from stdin, each as a u32 of little endian and that many bytes,
// and prints a line for each: its ids with commas, a tab, and the bytes of the text that they decode to in hexadecimal;
// or "error" and why it cannot be encoded.
// compare_tokenizers.py drives it.
#include "support/file.h"
#include "tokenizer/tokenizer.h"

#include <cstdint>
#include <iostream>

using namespace linnet;

int main(int argc, char **argv) {
  if (argc != 2) return std::cerr << "usage: tokenizer_ids TOKENIZER.json\n", 2;
  auto json = readTextFile(argv[1]);
  if (!json) return std::cerr << json.error().message << '\n', 1;
  auto tokenizer = Tokenizer::fromTokenizerJson(*json, argv[1]);
  if (!tokenizer) return std::cerr << tokenizer.error().message << '\n', 1;
  std::ios::sync_with_stdio(false);
  std::string text;
  for (uint32_t size = 0; std::cin.read(reinterpret_cast<char *>(&size), sizeof size);) {
    text.resize(size);
    if (!std::cin.read(text.data(), size)) return std::cerr << "a text is cut short\n", 1;
    auto encoding = tokenizer->encode(text);
    if (!encoding) {
      std::cout << "error " << encoding.error().message << '\n';
      continue;
    }
    const char *comma = "";
    for (TokenId id : encoding->ids) std::cout << comma << id, comma = ",";
    auto decoded = tokenizer->decode(encoding->ids);
    if (!decoded) return std::cerr << decoded.error().message << '\n', 1;
    std::cout << '\t';
    for (unsigned char byte : *decoded)
      std::cout << "0123456789abcdef"[byte >> 4] << "0123456789abcdef"[byte & 15];
    std::cout << '\n';
  }
}
