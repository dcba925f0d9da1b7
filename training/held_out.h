// Which texts of a language model's data, or which parts of them, are measured by and not learned.
#pragma once
#include "training/dataset.h"

#include <span>
#include <string>

namespace linnet::training {

/// Holds out a `share` of a language model's texts.
///   - Twenty records or more: whole records, at least one.
///   - Fewer, and one has a prompt or all are short: whole records, or none if the share rounds to none.
///   - Fewer plain texts, some of them long: a stretch of each long text, `share` of its bytes. It begins and
///     ends at white space if there is some. As many bytes follow it, or half of the rest if that is less.
/// The end of a text that is not held out whole is therefore always learned.
Split splitTexts(const std::vector<Record> &records, double share, uint64_t seed);

/// The tokens to learn from and those to measure by. The first token after a cut is read, not learned: the
/// text before it is missing.
struct Streams {
  TokenStream train, held_out;
};
/// `end` as in streamOf.
Result<Streams> streamsOf(const std::vector<Record> &records, const Split &split, const Tokenizer &tokenizer,
                          std::optional<TokenId> end, const std::string &where);

/// The token that ends a text: the tokenizer's, unless the model's configuration names others (`named`), at
/// which its texts stop. Nothing if neither names one.
std::optional<TokenId> endOfText(const Tokenizer &tokenizer, std::span<const int64_t> named);

/// A sentence that says what is held out of `texts` records.
std::string describe(const Split &split, size_t texts);

} // namespace linnet::training
