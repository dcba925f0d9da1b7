// The decoder of a tokenizer.json, one token at a time.
#pragma once
#include "tokenizer/stages.h"
#include "tokenizer/tokenizer.h"

namespace linnet {

/// The text of a token, after all tokens before it were pushed. `states` belongs to one text; empty at its start.
Result<std::string> decodeNext(const Stages &stages, std::string_view spelling,
                               std::vector<DecoderState> &states);
/// The rest of the text. Clears the states.
Result<std::string> decodeEnd(const Stages &stages, std::vector<DecoderState> &states);

} // namespace linnet
