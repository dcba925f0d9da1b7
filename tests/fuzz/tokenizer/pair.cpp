// vocab.json and merges.txt, parted by the first zero byte; what follows a second one is
// special_tokens_map.json or tokenizer_config.json, read by their own functions.
#include "tests/fuzz/tokenizer/use.h"
#include "tokenizer/hf_json.h"

using namespace linnet;

static std::string_view cut(std::string_view &rest) {
  size_t end = std::min(rest.find('\0'), rest.size());
  std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view rest = fuzz::text(data, size);
  std::string_view vocab = cut(rest), merges = cut(rest), config = cut(rest), map = cut(rest),
                   added = cut(rest);
  if (auto tokenizer = Tokenizer::fromVocabAndMerges(vocab, merges)) fuzz::useAndRebuild(*tokenizer, merges);
  if (config.empty()) return 0;
  TokenizerParts parts;
  hf::Settings settings;
  if (!hf::readVocab(vocab, "vocab.json", parts) || !hf::readMerges(merges, "merges.txt", parts)) return 0;
  if (!hf::readConfig(config, "tokenizer_config.json", settings)) return 0;
  if (!map.empty() && !hf::readSpecialTokensMap(map, "special_tokens_map.json", settings)) return 0;
  if (!added.empty() && !hf::readAddedTokens(added, "added_tokens.json", parts)) return 0;
  if (!hf::applySettings(settings, parts)) return 0;
  if (auto tokenizer = Tokenizer::fromParts(parts)) fuzz::useAndRebuild(*tokenizer, config);
  return 0;
}
