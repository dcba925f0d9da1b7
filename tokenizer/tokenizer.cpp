#include "tokenizer/tokenizer.h"
#include "support/error.h"
#include "tokenizer/added.h"
#include "tokenizer/byte_level.h"

#include <algorithm>
#include <cstring>

namespace linnet {

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerTables> t, std::shared_ptr<const AddedTokenMatcher> a)
    : tables(std::move(t)), added(std::move(a)) {}

Result<Tokenizer> Tokenizer::fromBytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % 8) {
    auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
    bytes = *copy;
    owner = std::move(copy);
  }
  LINNET_ASSIGN(auto tables, TokenizerTables::open(bytes, std::move(owner)));
  auto added = std::make_shared<const AddedTokenMatcher>(tables);
  return Tokenizer(std::move(tables), std::move(added));
}

Result<Tokenizer> Tokenizer::fromParts(const TokenizerParts &parts) {
  LINNET_ASSIGN(auto bytes, buildTables(parts));
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return fromBytes(*owner, owner);
}

std::vector<std::byte> Tokenizer::serialize() const { return {tables->bytes.begin(), tables->bytes.end()}; }

TokenId Tokenizer::idLimit() const { return static_cast<TokenId>(tables->header->n_ids); }

size_t Tokenizer::size() const { return tables->header->n_tokens; }

bool Tokenizer::isToken(TokenId id) const { return tables->present(id); }

bool Tokenizer::isSpecial(TokenId id) const {
  return isToken(id) && tables->flags[static_cast<size_t>(id)] & TokenizerTables::kSpecial;
}

std::string_view Tokenizer::tokenBytes(TokenId id) const {
  return isToken(id) ? tables->bytesOf(id) : std::string_view();
}

std::string Tokenizer::tokenSpelling(TokenId id) const {
  return isToken(id) ? tables->spellingOf(id) : std::string();
}

std::optional<TokenId> Tokenizer::tokenId(std::string_view spelling) const {
  if (auto bytes = byte_level::unspell(spelling))
    if (auto id = tables->find(*bytes, false)) return id;
  return tables->find(spelling, true);
}

std::vector<std::pair<std::string, TokenId>> Tokenizer::vocab() const {
  std::vector<std::pair<std::string, TokenId>> all;
  all.reserve(size());
  for (TokenId id = 0; id < idLimit(); ++id)
    if (isToken(id)) all.emplace_back(tables->spellingOf(id), id);
  return all;
}

static std::optional<TokenId> orNone(int32_t id) {
  return id < 0 ? std::nullopt : std::optional<TokenId>(id);
}

std::optional<TokenId> Tokenizer::bosId() const { return orNone(tables->header->bos); }
std::optional<TokenId> Tokenizer::eosId() const { return orNone(tables->header->eos); }
std::optional<TokenId> Tokenizer::padId() const { return orNone(tables->header->pad); }
std::optional<TokenId> Tokenizer::unkId() const { return orNone(tables->header->unk); }

std::optional<size_t> Tokenizer::modelMaxLength() const {
  int64_t n = tables->header->model_max_length;
  return n > 0 ? std::optional<size_t>(static_cast<size_t>(n)) : std::nullopt;
}

bool Tokenizer::hasAllBytes() const {
  return std::find(tables->byte_ids.begin(), tables->byte_ids.end(), -1) == tables->byte_ids.end();
}

Side Tokenizer::paddingSide() const {
  return tables->has(TokenizerTables::kPadLeft) ? Side::Left : Side::Right;
}

Side Tokenizer::truncationSide() const {
  return tables->has(TokenizerTables::kTruncateLeft) ? Side::Left : Side::Right;
}

} // namespace linnet
