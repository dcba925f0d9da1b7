// What every Executable checks before it runs an entry.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

/// Whether a command with this `only_for` (null: it is always run) has to run for the wanted outputs (empty:
/// all).
bool serves(const flatbuffers::Vector<uint16_t> *only_for, const std::vector<bool> &wanted);

/// Bytes of a port's tensor for these symbols.
LINNET_API uint64_t portBytes(const fb::Port &port, std::span<const int64_t> symbols);

/// The entry exists, each symbol is from 1 to its bound, each input has its port's size for these symbols,
/// and `wanted` is empty or has an element for each output. Inputs that are `filled` already are given empty.
LINNET_API Result<void> checkRun(const Artifact &artifact, const fb::Program &program, int entry,
                                 std::span<const int64_t> symbols,
                                 std::span<const std::span<const std::byte>> inputs,
                                 const std::vector<bool> &wanted, const std::vector<bool> &filled = {});

} // namespace linnet
