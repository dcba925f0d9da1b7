// Any bytes as text, against the laws of encoding, with a vocabulary learned from a few words.
#include "tests/fuzz/tokenizer/use.h"
#include "tokenizer/split.h"
#include "tokenizer/train.h"
#include "tokenizer/unicode.h"

using namespace linnet;

static Tokenizer learn() {
  std::string_view text = "the quick brown fox doesn't jump: they'll sleep\n\n  aaaaaaaa aaaa !!!! caf\u00e9 "
                          "\u4e2d\u6587 \U0001F600 2024";
  TrainOptions options;
  options.vocab_size = 320;
  options.min_frequency = 1;
  options.special_tokens = {"<|endoftext|>", "<s>"};
  return *trainBpe(std::span(&text, 1), options);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Tokenizer tokenizer = learn();
  std::string_view text = fuzz::text(data, size);
  fuzz::use(tokenizer, text);
  std::string well_formed;
  unicode::appendReplacing(well_formed, text);
  for (bool parse : {true, false}) {
    EncodeOptions options;
    options.parse_special = parse;
    auto ids = tokenizer.encode(text, options);
    fuzz::require(ids.ok(), "a vocabulary with all bytes encodes everything");
    fuzz::require(*tokenizer.decode(ids->ids) == well_formed, "decode gives the text back");
  }
  // Words encoded alone and joined are the text encoded whole (no special tokens).
  EncodeOptions as_text;
  as_text.parse_special = false;
  std::vector<TokenId> joined;
  for (size_t at = 0, end; at < well_formed.size(); at = end) {
    end = wordEnd(well_formed, at);
    fuzz::require(end > at && end <= well_formed.size(), "words tile the text");
    auto word = tokenizer.encode(std::string_view(well_formed).substr(at, end - at), as_text);
    joined.insert(joined.end(), word->ids.begin(), word->ids.end());
  }
  fuzz::require(tokenizer.encode(well_formed, as_text)->ids == joined, "words are encoded on their own");
  return 0;
}
