// Computes known answers for a program's trials on devices (runtime/vulkan/trial/known.h): for each
// combination of shaders, a SPIR-V simulator solves one small problem. All weights must be written before.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include <cstddef>
#include <span>

namespace linnet {

/// Sets `program.known_answers`. `file` is the artifact so far, which holds the program's blobs. A choice
/// without a cheap problem gets no answer; devices compare it with their last choice. Programs without
/// shaders do not change.
void addKnownAnswers(fb::ProgramT &program, std::span<const std::byte> file);

} // namespace linnet
