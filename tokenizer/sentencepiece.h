// SentencePiece's vocabularies: pieces with scores, as in its tokenizer.model and in GGUF files.
#pragma once
#include "tokenizer/tokenizer.h"

namespace linnet {

/// The merges of a SentencePiece BPE, as TokenizerParts::merges. It joins any two neighbours whose text is a piece, the
/// one with the largest score first. `tokens` is indexed by id; empty ones are not pieces.
Result<std::vector<std::string>> mergesOfPieces(const std::vector<std::string> &tokens,
                                                const std::vector<double> &scores);

/// TokenizerParts::stages of SentencePiece without a normalizer: spaces become U+2581. `adds_prefix`: each text begins
/// with a space, which the decoder drops. So does each text after an added token, as in llama.cpp and transformers.
std::string sentencePieceStages(bool adds_prefix);

/// Reads a tokenizer.model, untrusted bytes of protobuf's wire format. Errors begin with `where`.
Result<void> readSentencePiece(std::string_view model, const std::string &where, TokenizerParts &parts);

} // namespace linnet
