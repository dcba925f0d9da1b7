// Checks of an artifact's GPU programs: shaders and the commands that dispatch them.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace linnet {

/// Offsets of a Dispatch's Refs are multiples of this: the largest minStorageBufferOffsetAlignment that
/// Vulkan allows.
inline constexpr uint64_t kBufferAlignment = 256;

Result<void> checkShader(const fb::Shader &shader);
/// Checks that `words` are SPIR-V with a compute shader "main" and that no instruction exceeds them, because
/// drivers do not check and would crash. The meaning of instructions is not checked. The caller prefixes the
/// error with "shader NAME".
Result<void> checkSpirv(std::span<const std::byte> words);
/// `bounds` has the largest value of each symbol. The caller has checked that the Refs are inside their
/// memories.
Result<void> checkDispatch(const fb::Program &program, const fb::Dispatch &dispatch,
                           std::span<const int64_t> bounds);

/// The caller has checked the dispatches of `program`.
Result<void> checkKnownAnswer(const fb::Program &program, const fb::KnownAnswer &known);

} // namespace linnet
