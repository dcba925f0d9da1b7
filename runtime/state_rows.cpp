#include "runtime/state_rows.h"
#include "runtime/expr.h"
#include "runtime/memory.h"
#include "support/error.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr size_t kNoSymbol = SIZE_MAX;

size_t symbolNamed(const fb::Program &program, std::string_view name) {
  for (uint32_t i = 0; i < program.symbols()->size(); ++i)
    if (program.symbols()->Get(i)->string_view() == name) return i;
  return kNoSymbol;
}

/// The largest value of each symbol in any entry.
std::vector<int64_t> largestBounds(const fb::Program &program) {
  std::vector<int64_t> most(program.symbols()->size(), 1);
  for (const fb::Entry *entry : *program.entries())
    for (uint32_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], entry->bounds()->Get(i));
  return most;
}

/// Whether `dim` is the symbol itself.
bool isSymbol(const fb::Expr *dim, size_t symbol) {
  if (!dim || dim->terms()->size() != 1) return false;
  const fb::Term &term = *dim->terms()->Get(0);
  return term.coefficient() == 1 && term.symbols()->size() == 1 && term.symbols()->Get(0) == symbol;
}

/// An error unless 0 <= tokens <= the context.
Result<void> checkCached(const fb::Program &program, int64_t tokens) {
  const size_t symbol = symbolNamed(program, "context");
  const int64_t context = symbol == kNoSymbol ? 0 : largestBounds(program)[symbol];
  if (tokens >= 0 && tokens <= context) return {};
  return errorf("expected from 0 to {} tokens, found {}", context, tokens);
}

} // namespace

int64_t mostRows(const fb::Program &program) {
  const size_t batch = symbolNamed(program, "batch");
  return batch == kNoSymbol ? 0 : largestBounds(program)[batch];
}

Result<std::vector<StateRows>> stateRows(const Artifact &artifact, const fb::Program &program) {
  const size_t batch = symbolNamed(program, "batch"), context = symbolNamed(program, "context");
  const std::vector<int64_t> bounds = largestBounds(program);
  std::vector<StateRows> all;
  for (const fb::State *state : *program.states()) {
    const auto &shape = *state->shape();
    uint32_t at = 1;
    while (at < shape.size() && !isSymbol(shape.Get(at), context)) ++at;
    if (at >= shape.size() || !isSymbol(shape.Get(0), batch))
      return errorf("{}: state '{}': expected the dimensions batch and context", artifact.path(),
                    state->name()->string_view());
    // The file was checked at the bounds of each entry, not at the largest of all entries.
    auto product = [&](uint32_t begin, uint32_t end) {
      std::optional<uint64_t> count = 1;
      for (uint32_t i = begin; i < end && count; ++i) {
        const auto dim = evaluateChecked(shape.Get(i), bounds);
        const bool fits =
            dim && static_cast<uint64_t>(*dim) <= state->bytes() / std::max<uint64_t>(*count, 1);
        count = fits ? std::optional(*count * static_cast<uint64_t>(*dim)) : std::nullopt;
      }
      return count;
    };
    const auto whole = product(0, shape.size()), token = product(at + 1, shape.size()),
               pieces = product(1, at);
    const uint64_t element = elementBytes(state->dtype());
    if (!whole || !token || !pieces || *whole > state->bytes() / element)
      return errorf("{}: state '{}': {} rows do not fit its {} bytes", artifact.path(),
                    state->name()->string_view(), bounds[batch], state->bytes());
    StateRows rows;
    rows.pieces = *pieces;
    rows.token_bytes = *token * element;
    rows.piece_bytes = rows.token_bytes * static_cast<uint64_t>(bounds[context]);
    rows.row_bytes = rows.pieces * rows.piece_bytes;
    all.push_back(rows);
  }
  return all;
}

Result<void> checkRow(const fb::Program &program, int64_t row) {
  if (row == 0 || (row > 0 && row < mostRows(program))) return {};
  return errorf("expected a row from 0 to {}, found {}", mostRows(program) - 1, row);
}

Result<void> checkRows(const fb::Program &program, int64_t first, std::span<const int64_t> symbols) {
  const size_t batch = symbolNamed(program, "batch");
  const int64_t most = mostRows(program), count = batch == kNoSymbol ? 0 : symbols[batch];
  if (first >= 0 && first + count <= most) return {};
  return errorf("expected rows from 0 to {}, found {} to {}", most - 1, first, first + count - 1);
}

Result<void> checkCopy(const fb::Program &program, int64_t from, int64_t to, int64_t tokens) {
  const int64_t most = mostRows(program);
  if (from < 0 || to < 0 || from >= most || to >= most || from == to)
    return errorf("expected two rows from 0 to {}, found {} and {}", most - 1, from, to);
  return checkCached(program, tokens);
}

Result<void> checkRead(const fb::Program &program, int64_t row, int64_t tokens) {
  LINNET_TRY(checkRow(program, row));
  return checkCached(program, tokens);
}

uint64_t partBytes(std::span<const StateRows> rows, int64_t tokens) {
  uint64_t bytes = 0;
  for (const StateRows &state : rows) bytes += state.pieces * state.token_bytes;
  return bytes * static_cast<uint64_t>(tokens);
}

Result<std::vector<std::byte>> partBuffer(std::span<const StateRows> rows, int64_t tokens) {
  const uint64_t bytes = partBytes(rows, tokens);
  LINNET_TRY(requireMemory(bytes, fmt::format("keys and values of {} tokens", tokens)));
  return std::vector<std::byte>(bytes);
}

Result<void> checkWrite(const fb::Program &program, int64_t row, int64_t tokens, uint64_t expected,
                        uint64_t bytes) {
  LINNET_TRY(checkRead(program, row, tokens));
  if (bytes == expected) return {};
  return errorf("{} tokens of a row: expected {} bytes, found {}", tokens, expected, bytes);
}

void forEachRun(const StateRows &rows, int64_t from, int64_t to, int64_t tokens,
                const std::function<void(uint64_t, uint64_t, uint64_t)> &copy) {
  const uint64_t source = static_cast<uint64_t>(from) * rows.row_bytes;
  const uint64_t target = static_cast<uint64_t>(to) * rows.row_bytes;
  const uint64_t bytes = static_cast<uint64_t>(tokens) * rows.token_bytes;
  if (bytes == 0) return;
  for (uint64_t i = 0; i < rows.pieces; ++i)
    copy(source + i * rows.piece_bytes, target + i * rows.piece_bytes, bytes);
}

} // namespace linnet
