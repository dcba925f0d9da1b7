// Reads values of Hugging Face's JSON files.
#pragma once
#include "tokenizer/hf_json.h"

#include <nlohmann/json.hpp>

namespace linnet::hf {

/// Sorted objects. Those of support/json.h keep their order, which takes quadratic time for a vocabulary.
using SortedJson = nlohmann::json;

/// The object of an untrusted file. Errors: malformed JSON, deep nesting, duplicate keys, no object.
Result<SortedJson> parse(std::string_view text, const std::string &where);
/// The member `key`, or null if it is absent or null.
const SortedJson *member(const SortedJson &object, const char *key);
/// The member "type", or the name of the JSON type.
std::string typeOf(const SortedJson &object);
Result<TokenId> readId(const SortedJson &value, const std::string &token, const std::string &where);
Result<void> readFlag(const SortedJson &object, const char *key, bool &out, const std::string &where);
Result<void> readFlag(const SortedJson &object, const char *key, std::optional<bool> &out,
                      const std::string &where);
/// Reads a token: a string, or an object with its content and matching rules.
Result<AddedToken> readToken(const SortedJson &value, const std::string &where);
/// Reads the object "model" of a tokenizer.json. `unk` is its unknown token; an empty content: none.
Result<void> readModel(const SortedJson &root, const std::string &where, TokenizerParts &parts,
                       AddedToken &unk);

} // namespace linnet::hf
