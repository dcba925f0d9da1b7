// The part of checking an artifact that is about GPU programs: shaders and the commands that dispatch them.
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
/// What follows "shader NAME" in a message: drivers take words on trust, and crash where there is no compute
/// shader "main" or an instruction leads out of them. Whether the instructions make sense is not looked at.
Result<void> checkSpirv(std::span<const std::byte> words);
/// `bounds`: largest value of each symbol. The Refs are known to lie inside their memories.
Result<void> checkDispatch(const fb::Program &program, const fb::Dispatch &dispatch,
                           std::span<const int64_t> bounds);

/// `program`'s dispatches are known to be sound.
Result<void> checkKnownAnswer(const fb::Program &program, const fb::KnownAnswer &known);

} // namespace linnet
