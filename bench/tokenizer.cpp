// bench_tokenizer DIR TEXT: for each line on stdin, encodes TEXT once with the tokenizer in DIR and prints
// "nanoseconds ids". bench/tokenizer.mjs drives it.
#include "tokenizer/tokenizer.h"
#include "support/file.h"

#include <chrono>
#include <iostream>

using namespace linnet;

int main(int argc, char **argv) {
  if (argc != 3) return std::cerr << "usage: bench_tokenizer DIR TEXT\n", 2;
  auto tokenizer = Tokenizer::fromDirectory(argv[1]);
  auto text = readTextFile(argv[2]);
  if (!tokenizer || !*tokenizer || !text) {
    std::cerr << (!tokenizer ? tokenizer.error().message
                  : !text    ? text.error().message
                             : "no tokenizer")
              << '\n';
    return 1;
  }
  EncodeOptions as_text;
  as_text.parse_special = false;
  for (std::string line; std::getline(std::cin, line);) {
    auto start = std::chrono::steady_clock::now();
    auto encoded = (*tokenizer)->encode(*text, as_text);
    auto time =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start);
    if (!encoded) return std::cerr << encoded.error().message << '\n', 1;
    std::cout << time.count() << ' ' << encoded->ids.size() << std::endl;
  }
}
