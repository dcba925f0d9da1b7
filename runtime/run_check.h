// The checks of every Executable before it runs an entry.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

/// Whether a command with this `only_for` must run for the wanted outputs. A null `only_for` always runs; an
/// empty `wanted` means all outputs.
bool serves(const flatbuffers::Vector<uint16_t> *only_for, const std::vector<bool> &wanted);

/// Size of a port's tensor in bytes for these symbols.
LINNET_API uint64_t portBytes(const fb::Port &port, std::span<const int64_t> symbols);

/// Checks the arguments of a run. The entry must exist. Each symbol must be from 1 to its bound. Each input must have
/// its port's size for these symbols. `wanted` must be empty or have an element per output. Inputs marked in `filled`
/// must be empty.
LINNET_API Result<void> checkRun(const Artifact &artifact, const fb::Program &program, int entry,
                                 std::span<const int64_t> symbols,
                                 std::span<const std::span<const std::byte>> inputs,
                                 const std::vector<bool> &wanted, const std::vector<bool> &filled = {});

} // namespace linnet
