// Reads the stages of a tokenizer.json.
#include "tokenizer/stages.h"
#include "support/error.h"
#include "tokenizer/unicode.h"

namespace linnet {
namespace {

constexpr int kMaxStageDepth = 16;
constexpr size_t kMaxSteps = 64;

const Json *member(const Json &object, const char *key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string typeOf(const Json &object) {
  const Json *type = member(object, "type");
  return type && type->is_string() ? type->get<std::string>() : std::string(object.type_name());
}

Result<bool> flag(const Json &object, const char *key, bool otherwise) {
  const Json *value = member(object, key);
  if (!value) return otherwise;
  if (!value->is_boolean()) return errorf("{}: expected true or false, found {}", key, value->type_name());
  return value->get<bool>();
}

Result<std::string> text(const Json &object, const char *key) {
  const Json *value = member(object, key);
  if (!value || !value->is_string()) return errorf("{} without the text \"{}\"", typeOf(object), key);
  return value->get<std::string>();
}

// The text of one character.
Result<std::string> character(const Json &object, const char *key) {
  LINNET_ASSIGN(std::string value, text(object, key));
  size_t at = 0;
  if (!value.empty()) unicode::next(value.data(), at);
  if (value.empty() || at != value.size())
    return errorf("{}: {}: expected one character, found \"{}\"", typeOf(object), key, value.substr(0, 40));
  return value;
}

Result<size_t> count(const Json &object, const char *key) {
  const Json *value = member(object, key);
  if (!value) return size_t(0);
  if (!value->is_number_unsigned())
    return errorf("{}: {}: expected a count, found {}", typeOf(object), key, value->dump());
  return static_cast<size_t>(value->get<uint64_t>());
}

Result<TextPattern> pattern(const Json &object) {
  const Json *its = member(object, "pattern");
  TextPattern out;
  if (its && member(*its, "String")) {
    LINNET_ASSIGN(out.text, text(*its, "String"));
    return out;
  }
  if (!its || !member(*its, "Regex"))
    return errorf("{}: expected a pattern with \"String\" or \"Regex\"", typeOf(object));
  LINNET_ASSIGN(std::string expression, text(*its, "Regex"));
  auto regex = Regex::compile(expression);
  if (!regex) return errorf("{}: {}", typeOf(object), regex.error().message);
  out.regex = std::move(*regex);
  return out;
}

Result<SplitBehavior> behavior(const Json &object, const char *otherwise) {
  const Json *value = member(object, "behavior");
  std::string name = value && value->is_string() ? value->get<std::string>() : otherwise;
  constexpr std::pair<const char *, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous}};
  for (auto [known, its] : kNames)
    if (name == known) return SplitBehavior(its);
  return errorf("{}: behavior \"{}\" is not supported", typeOf(object), name.substr(0, 40));
}

// Calls `read` for a stage, or for each step of a Sequence.
template <class Read>
Result<void> eachStep(const Json &stage, const char *what, const char *list, int depth, Read read) {
  if (depth > kMaxStageDepth) return errorf("{}: nested deeper than {} levels", what, kMaxStageDepth);
  if (typeOf(stage) != "Sequence") {
    if (auto done = read(stage, typeOf(stage)); !done) return errorf("{}: {}", what, done.error().message);
    return {};
  }
  const Json *steps = member(stage, list);
  if (!steps || !steps->is_array()) return errorf("{}: expected an array of {}", what, list);
  for (const Json &step : *steps) LINNET_TRY(eachStep(step, what, list, depth + 1, read));
  return {};
}

Error unsupported(const std::string &type) { return errorf("type {} is not supported", type.substr(0, 40)); }

Result<NormalizerStep> normalizerStep(const Json &step, const std::string &type) {
  using Kind = NormalizerStep::Kind;
  using text_tables::Form;
  for (auto [name, form] : {std::pair("NFC", Form::Nfc), std::pair("NFD", Form::Nfd),
                            std::pair("NFKC", Form::Nfkc), std::pair("NFKD", Form::Nfkd)})
    if (type == name) return NormalizerStep{.kind = Kind::Form, .form = form, .content = {}, .pattern = {}};
  NormalizerStep out{.kind = Kind::Lowercase, .content = {}, .pattern = {}};
  if (type == "Lowercase") return out;
  if (type == "Prepend") {
    out.kind = Kind::Prepend;
    LINNET_ASSIGN(out.content, text(step, "prepend"));
  } else if (type == "Replace") {
    out.kind = Kind::Replace;
    LINNET_ASSIGN(out.pattern, pattern(step));
    LINNET_ASSIGN(out.content, text(step, "content"));
  } else if (type == "Strip") {
    out.kind = Kind::Strip;
    LINNET_ASSIGN(out.left, flag(step, "strip_left", true));
    LINNET_ASSIGN(out.right, flag(step, "strip_right", true));
  } else {
    return unsupported(type);
  }
  return out;
}

Result<PreTokenizerStep> metaspace(const Json &step) {
  PreTokenizerStep out{.kind = PreTokenizerStep::Kind::Metaspace, .pattern = {}, .replacement = {}};
  LINNET_ASSIGN(out.replacement, character(step, "replacement"));
  LINNET_ASSIGN(out.splits, flag(step, "split", true));
  LINNET_ASSIGN(bool prepends, flag(step, "add_prefix_space", true)); // the older name of prepend_scheme
  const Json *value = member(step, "prepend_scheme");
  std::string scheme = value && value->is_string() ? value->get<std::string>()
                       : prepends                  ? "always"
                                                   : "never";
  if (scheme != "always" && scheme != "first" && scheme != "never")
    return errorf("Metaspace: prepend_scheme \"{}\" is not supported", scheme.substr(0, 40));
  out.scheme = scheme == "always"  ? PrependScheme::Always
               : scheme == "first" ? PrependScheme::First
                                   : PrependScheme::Never;
  return out;
}

Result<PreTokenizerStep> preTokenizerStep(const Json &step, const std::string &type) {
  PreTokenizerStep out{.kind = PreTokenizerStep::Kind::Split, .pattern = {}, .replacement = {}};
  CharSet set;
  if (type == "ByteLevel") {
    out.kind = PreTokenizerStep::Kind::ByteLevel;
    LINNET_ASSIGN(out.add_prefix_space, flag(step, "add_prefix_space", true));
    LINNET_ASSIGN(out.use_regex, flag(step, "use_regex", true));
    return out;
  }
  if (type == "Metaspace") return metaspace(step);
  if (type == "Split") {
    LINNET_ASSIGN(out.pattern, pattern(step));
    LINNET_ASSIGN(out.behavior, behavior(step, "Isolated"));
    LINNET_ASSIGN(out.invert, flag(step, "invert", false));
    return out;
  }
  if (type == "Digits") {
    set.addCategory("N");
    LINNET_ASSIGN(bool individual, flag(step, "individual_digits", false));
    out.behavior = individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous;
  } else if (type == "Punctuation") {
    set.addPunctuation();
    LINNET_ASSIGN(out.behavior, behavior(step, "Isolated"));
  } else if (type == "WhitespaceSplit") {
    set.addSpace();
    out.behavior = SplitBehavior::Removed;
  } else if (type == "CharDelimiterSplit") {
    LINNET_ASSIGN(out.pattern.text, character(step, "delimiter"));
    out.behavior = SplitBehavior::Removed;
    return out;
  } else {
    return unsupported(type);
  }
  out.pattern.regex = Regex::ofSet(std::move(set));
  return out;
}

// Runs of word characters, and of others. Together with WhitespaceSplit it is Whitespace, whose \w is that of UTS #18.
PreTokenizerStep wordRuns() {
  constexpr uint32_t kLimit = 0x110000;
  CharSet set;
  for (uint32_t c = 0; c < kLimit; ++c)
    if (unicode::isWord(c)) set.add(c, c);
  PreTokenizerStep out{.kind = PreTokenizerStep::Kind::Split, .pattern = {}, .replacement = {}};
  out.pattern.regex = Regex::ofSet(std::move(set));
  out.behavior = SplitBehavior::Contiguous;
  return out;
}

Result<DecoderStep> decoderStep(const Json &step, const std::string &type, bool fused) {
  using Kind = DecoderStep::Kind;
  DecoderStep out{.kind = Kind::ByteLevel, .pattern = {}, .content = {}};
  out.fused = fused;
  for (auto [name, kind] :
       {std::pair("ByteLevel", Kind::ByteLevel), std::pair("ByteFallback", Kind::ByteFallback),
        std::pair("Fuse", Kind::Fuse), std::pair("Replace", Kind::Replace), std::pair("Strip", Kind::Strip),
        std::pair("Metaspace", Kind::Metaspace)})
    if (type == name) {
      out.kind = kind;
      if (kind == Kind::Replace) {
        LINNET_ASSIGN(out.pattern, pattern(step));
        LINNET_ASSIGN(out.content, text(step, "content"));
        // It could need too many steps, and decoding would fail for ids that encoding gave.
        if (out.pattern.regex) return Error{"a regular expression in a decoder is not supported"};
      } else if (kind == Kind::Strip) {
        LINNET_ASSIGN(out.content, character(step, "content"));
        LINNET_ASSIGN(out.start, count(step, "start"));
        LINNET_ASSIGN(out.stop, count(step, "stop"));
      } else if (kind == Kind::Metaspace) {
        LINNET_ASSIGN(PreTokenizerStep same, metaspace(step));
        out.content = same.replacement;
        out.drops_first = same.scheme != PrependScheme::Never;
      }
      // A text that grows token by token cannot be searched for these.
      if (fused &&
          (kind == Kind::Replace || kind == Kind::ByteFallback || kind == Kind::ByteLevel || out.stop))
        return errorf("type {} after Fuse is not supported", type);
      return out;
    }
  return unsupported(type);
}

} // namespace

Result<Stages> Stages::read(const Json &object) {
  Stages out;
  auto isFull = [&] { return out.normalizer.size() + out.pre.size() + out.decoder.size() >= kMaxSteps; };
  auto tooMany = [] { return errorf("more than {} normalizers, pre_tokenizers and decoders", kMaxSteps); };
  if (const Json *stage = member(object, "normalizer"))
    LINNET_TRY(eachStep(*stage, "normalizer", "normalizers", 0,
                        [&](const Json &step, const std::string &type) -> Result<void> {
                          if (isFull()) return tooMany();
                          LINNET_ASSIGN(NormalizerStep its, normalizerStep(step, type));
                          out.normalizer.push_back(std::move(its));
                          return {};
                        }));
  if (const Json *stage = member(object, "pre_tokenizer"))
    LINNET_TRY(eachStep(*stage, "pre_tokenizer", "pretokenizers", 0,
                        [&](const Json &step, const std::string &type) -> Result<void> {
                          if (isFull()) return tooMany();
                          if (out.byteLevel())
                            return errorf("type {} after ByteLevel is not supported", type);
                          const bool words = type == "Whitespace";
                          LINNET_ASSIGN(PreTokenizerStep its,
                                        preTokenizerStep(step, words ? "WhitespaceSplit" : type));
                          out.pre.push_back(std::move(its));
                          if (words) out.pre.push_back(wordRuns());
                          return {};
                        }));
  bool fused = false;
  constexpr size_t kMostGrowth = 4096;
  size_t growth = 1; // of a text, at most
  if (const Json *stage = member(object, "decoder"))
    LINNET_TRY(eachStep(
        *stage, "decoder", "decoders", 0, [&](const Json &step, const std::string &type) -> Result<void> {
          if (isFull()) return tooMany();
          LINNET_ASSIGN(DecoderStep its, decoderStep(step, type, fused));
          if (its.kind == DecoderStep::Kind::Replace)
            growth *=
                std::max<size_t>(1, its.content.size() / std::max<size_t>(1, its.pattern.text.size()) + 1);
          if (growth > kMostGrowth) return errorf("decoders make more than {} bytes of one", kMostGrowth);
          fused |= its.kind == DecoderStep::Kind::Fuse || its.kind == DecoderStep::Kind::ByteLevel;
          out.decoder.push_back(std::move(its));
          return {};
        }));
  if (out.normalizer.size() + out.pre.size() + out.decoder.size() > kMaxSteps) return tooMany();
  return out;
}

Result<std::shared_ptr<const Stages>> Stages::parse(std::string_view json) {
  LINNET_ASSIGN(Json object, parseJson(json, "stages"));
  LINNET_ASSIGN(Stages stages, read(object));
  return std::make_shared<const Stages>(std::move(stages));
}

bool Stages::areGpt2s() const {
  return normalizer.empty() && pre.size() == 1 && byteLevel() && pre[0].use_regex &&
         (decoder.empty() || (decoder.size() == 1 && decoder[0].kind == DecoderStep::Kind::ByteLevel));
}

} // namespace linnet
