// The stages around a tokenizer's model, as tokenizer.json describes them: normalizer, pre_tokenizer and decoder.
// GPT-2's stages have code of their own (split.h) and no object of this class.
#pragma once
#include "support/json.h"
#include "tokenizer/regex.h"
#include "tokenizer/text_tables.h"

#include <deque>
#include <memory>

namespace linnet {

/// The pattern of Split and Replace: a literal text or a regular expression.
struct TextPattern {
  std::string text;
  std::optional<Regex> regex;
};

enum class SplitBehavior : uint8_t { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
enum class PrependScheme : uint8_t { Always, First, Never };

struct NormalizerStep {
  enum class Kind : uint8_t { Form, Lowercase, Prepend, Replace, Strip } kind;
  text_tables::Form form = text_tables::Form::Nfc;
  std::string content; // of Prepend and Replace
  TextPattern pattern;
  bool left = false, right = false;
};

struct PreTokenizerStep {
  enum class Kind : uint8_t { Split, Metaspace, ByteLevel } kind;
  TextPattern pattern;
  SplitBehavior behavior = SplitBehavior::Isolated;
  bool invert = false;
  std::string replacement; // of Metaspace: one character
  PrependScheme scheme = PrependScheme::Never;
  bool splits = true;            // of Metaspace
  bool add_prefix_space = false; // of ByteLevel
  bool use_regex = true;         // of ByteLevel: GPT-2's pre-split
};

struct DecoderStep {
  enum class Kind : uint8_t { ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace } kind;
  TextPattern pattern;
  std::string content; // of Replace; of Strip and Metaspace one character
  size_t start = 0, stop = 0;
  bool drops_first = false; // of Metaspace
  bool fused = false;       // the steps before made one text of all tokens
};

class Stages {
public:
  /// Reads the members "normalizer", "pre_tokenizer" and "decoder" of an object. Unsupported stages are errors
  /// that name them.
  static Result<Stages> read(const Json &object);
  /// Reads the text of such an object, which is untrusted.
  static Result<std::shared_ptr<const Stages>> parse(std::string_view json);

  /// Whether the model's vocabulary spells bytes with GPT-2's alphabet.
  bool byteLevel() const { return !pre.empty() && pre.back().kind == PreTokenizerStep::Kind::ByteLevel; }
  /// Whether the stages do what GPT-2's do, with or without a space in front.
  bool areGpt2s() const;
  /// Applies the normalizer to well-formed text.
  Result<std::string> normalized(std::string_view text) const;

  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre;
  std::vector<DecoderStep> decoder;
};

/// Receives the words that a pre-tokenizer makes.
class WordSink {
public:
  virtual ~WordSink() = default;
  virtual Result<void> addWord(std::string_view word) = 0;
  /// Splits the text as GPT-2 does first.
  virtual Result<void> addGpt2Text(std::string_view text) = 0;
};

/// Splits normalized texts into words. The words are views of the texts or of `arena`.
class PreTokenizer {
public:
  PreTokenizer(const Stages &s, std::deque<std::string> &a);
  /// `at_start`: the text is the first one of the whole input.
  Result<void> split(std::string_view text, bool at_start, WordSink &sink) {
    return run(0, text, at_start, sink);
  }

private:
  struct Part {
    size_t begin, end;
    bool match;
  };
  Result<void> run(size_t step, std::string_view text, bool at_start, WordSink &sink);
  Result<void> runSplit(size_t step, std::string_view text, bool at_start, WordSink &sink);
  Result<void> runMetaspace(size_t step, std::string_view text, bool at_start, WordSink &sink);
  Result<void> runParts(size_t step, std::string_view text, bool at_start, std::vector<Part> parts,
                        WordSink &sink);

  const Stages &stages;
  std::deque<std::string> &arena;
};

} // namespace linnet
