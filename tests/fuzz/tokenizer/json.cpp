// tokenizer.json.
#include "tests/fuzz/tokenizer/use.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto text = fuzz::text(data, size);
  if (auto tokenizer = linnet::Tokenizer::fromTokenizerJson(text)) fuzz::useAndRebuild(*tokenizer, text);
  return 0;
}
