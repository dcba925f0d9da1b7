// The binary form. The size and the checksum in the header are made right first: they are not what is being
// tested.
#include "tests/fuzz/tokenizer/use.h"
#include "tokenizer/tables.h"
#include <cstring>

using namespace linnet;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<std::byte> bytes(size);
  if (size) std::memcpy(bytes.data(), data, size);
  if (size >= sizeof(TokenizerTables::Header)) {
    TokenizerTables::Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.total_size = size;
    header.checksum = TokenizerTables::checksumOf(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);
  }
  auto tokenizer = Tokenizer::fromBytes(bytes);
  if (!tokenizer) return 0;
  fuzz::use(*tokenizer, fuzz::text(data, std::min<size_t>(size, 512)));
  fuzz::use(*tokenizer, "the <s>quick\xff dog's 42 ");
  // Tables that no builder makes may name tokens that do not fit together; building them anew may fail, not
  // crash.
  if (auto rebuilt = Tokenizer::fromParts(tokenizer->parts())) fuzz::use(*rebuilt, "the dog");
  return 0;
}
