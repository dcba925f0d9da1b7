// The rows of a language model's states. Row i of all states holds the keys and values of one text.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace linnet {

/// The layout of a state of shape (batch, ..., context, ...). Its rows are consecutive.
struct StateRows {
  uint64_t row_bytes = 0;   ///< of one row
  uint64_t pieces = 1;      ///< a row has a run of tokens for each key head
  uint64_t piece_bytes = 0; ///< from one run to the next
  uint64_t token_bytes = 0; ///< from one token to the next in a run
};

/// One for each state. Errors: a state does not begin with the symbol "batch", or has no dimension "context".
LINNET_API Result<std::vector<StateRows>> stateRows(const Artifact &artifact, const fb::Program &program);

/// The largest value of the program's symbol "batch" in any entry; 0 if it has none.
LINNET_API int64_t mostRows(const fb::Program &program);

/// An error unless the row exists. Row 0 exists in every program, also in one without a batch.
LINNET_API Result<void> checkRow(const fb::Program &program, int64_t row);

/// An error unless rows [first, first + the batch of `symbols`) exist.
LINNET_API Result<void> checkRows(const fb::Program &program, int64_t first,
                                  std::span<const int64_t> symbols);

/// An error unless both rows exist and are different, and 0 <= tokens <= the context.
LINNET_API Result<void> checkCopy(const fb::Program &program, int64_t from, int64_t to, int64_t tokens);

/// Size of the first `tokens` keys and values of a row of all states.
LINNET_API uint64_t partBytes(std::span<const StateRows> rows, int64_t tokens);

/// Memory of that size. Errors: memory is insufficient.
LINNET_API Result<std::vector<std::byte>> partBuffer(std::span<const StateRows> rows, int64_t tokens);

/// For Executable::readRow: an error unless the row exists and 0 <= tokens <= the context.
LINNET_API Result<void> checkRead(const fb::Program &program, int64_t row, int64_t tokens);

/// For Executable::writeRow: as checkRead, and an error unless `bytes` is `expected`.
LINNET_API Result<void> checkWrite(const fb::Program &program, int64_t row, int64_t tokens, uint64_t expected,
                                   uint64_t bytes);

/// Calls copy(from, to, bytes) for each run of bytes that holds the first `tokens` tokens of a row, with offsets from
/// the state's begin.
LINNET_API void forEachRun(const StateRows &rows, int64_t from, int64_t to, int64_t tokens,
                           const std::function<void(uint64_t from, uint64_t to, uint64_t bytes)> &copy);

} // namespace linnet
