// Known answers for a program's trials on devices (runtime/vulkan/trial/known.h): for each combination of
// shaders one small problem, which a simulator of SPIR-V does. All weights must be written before.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include <cstddef>
#include <span>

namespace linnet {

/// Sets `program.known_answers`. `file`: the artifact so far, which the program's blobs refer to. A choice
/// without a cheap problem gets no answer: devices compare it with their own last choice. Programs without
/// shaders stay as they are.
void addKnownAnswers(fb::ProgramT &program, std::span<const std::byte> file);

} // namespace linnet
