#include "tokenizer/decoder.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/pattern.h"
#include "tokenizer/tables.h"
#include "tokenizer/unicode.h"

namespace linnet {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// Moves the complete characters of `pending` to `out`, ill-formed ones replaced.
void takeComplete(std::string &pending, std::string &out, bool all) {
  size_t complete = all ? pending.size() : completeLength(pending);
  unicode::appendReplacing(out, std::string_view(pending).substr(0, complete));
  pending.erase(0, complete);
}

// Runs the steps of a decoder from `first` on, for one token or for the end of the text.
class DecodeRun {
public:
  DecodeRun(const Stages &s, std::vector<DecoderState> &st) : stages(s), states(st) {
    states.resize(stages.decoder.size() + 1);
  }
  Result<void> push(size_t step, std::string token);
  Result<void> end(size_t step);
  std::string out;

private:
  Result<void> endBytes(size_t step);
  std::string withoutContent(const DecoderStep &its, DecoderState &state, std::string token) const;
  std::string withSpaces(const DecoderStep &its, DecoderState &state, std::string_view token) const;

  const Stages &stages;
  std::vector<DecoderState> &states;
};

Result<void> DecodeRun::push(size_t step, std::string token) {
  DecoderState &state = states[step];
  if (step == stages.decoder.size()) {
    // Without a decoder, tokenizers puts spaces between the tokens.
    if (stages.decoder.empty() && state.count++) out += ' ';
    out += token;
    return {};
  }
  const DecoderStep &its = stages.decoder[step];
  switch (its.kind) {
  case DecoderStep::Kind::ByteLevel: {
    state.pending += byte_level::unspell(token).value_or(token);
    std::string complete;
    takeComplete(state.pending, complete, false);
    return push(step + 1, std::move(complete));
  }
  case DecoderStep::Kind::Replace: {
    std::string replaced;
    LINNET_TRY(forEachPart(its.pattern, token, [&](size_t begin, size_t end, bool match) -> Result<void> {
      replaced += match ? std::string_view(its.content) : std::string_view(token).substr(begin, end - begin);
      return {};
    }));
    return push(step + 1, std::move(replaced));
  }
  case DecoderStep::Kind::ByteFallback:
    if (int byte = fallbackByte(token); byte >= 0) {
      state.pending += static_cast<char>(byte);
      return {};
    }
    LINNET_TRY(endBytes(step));
    return push(step + 1, std::move(token));
  case DecoderStep::Kind::Fuse:
    return push(step + 1, std::move(token));
  case DecoderStep::Kind::Strip:
    return push(step + 1, withoutContent(its, state, std::move(token)));
  case DecoderStep::Kind::Metaspace:
    return push(step + 1, withSpaces(its, state, token));
  }
  return {};
}

// A run of bytes is a text, or one U+FFFD for each byte if it is not UTF-8.
Result<void> DecodeRun::endBytes(size_t step) {
  std::string bytes = std::move(states[step].pending);
  states[step].pending.clear();
  if (bytes.empty()) return {};
  if (unicode::isValid(bytes)) return push(step + 1, std::move(bytes));
  for (size_t i = 0; i < bytes.size(); ++i) LINNET_TRY(push(step + 1, std::string(kReplacementCharacter)));
  return {};
}

std::string DecodeRun::withoutContent(const DecoderStep &its, DecoderState &state, std::string token) const {
  // After Fuse, `state` counts the characters that were removed at the start of the text.
  size_t removed = its.fused ? state.count : 0, begin = 0;
  while (removed < its.start && std::string_view(token).substr(begin).starts_with(its.content))
    begin += its.content.size(), ++removed;
  if (begin < token.size())
    state.count = its.start;
  else
    state.count = removed;
  size_t end = token.size();
  for (size_t n = 0;
       n < its.stop && end > begin && std::string_view(token).substr(0, end).ends_with(its.content); ++n)
    end -= its.content.size();
  return token.substr(begin, end - begin);
}

std::string DecodeRun::withSpaces(const DecoderStep &its, DecoderState &state, std::string_view token) const {
  bool drops = its.drops_first && state.count == 0;
  if (!its.fused) state.count = 1;
  std::string text;
  for (size_t at = 0; at < token.size();) {
    if (token.substr(at).starts_with(its.content)) {
      if (!drops) text += ' ';
      at += its.content.size();
    } else {
      text += token[at++];
    }
  }
  return text;
}

Result<void> DecodeRun::end(size_t step) {
  if (step == stages.decoder.size()) return {};
  const DecoderStep &its = stages.decoder[step];
  if (its.kind == DecoderStep::Kind::ByteFallback) LINNET_TRY(endBytes(step));
  if (its.kind == DecoderStep::Kind::ByteLevel && !states[step].pending.empty()) {
    std::string rest;
    takeComplete(states[step].pending, rest, true);
    LINNET_TRY(push(step + 1, std::move(rest)));
  }
  return end(step + 1);
}

} // namespace

Result<std::string> decodeNext(const Stages &stages, std::string_view spelling,
                               std::vector<DecoderState> &states) {
  DecodeRun run(stages, states);
  LINNET_TRY(run.push(0, std::string(spelling)));
  return std::move(run.out);
}

Result<std::string> decodeEnd(const Stages &stages, std::vector<DecoderState> &states) {
  DecodeRun run(stages, states);
  LINNET_TRY(run.end(0));
  states.clear();
  return std::move(run.out);
}

} // namespace linnet
