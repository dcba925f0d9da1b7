// Helpers of the builder's files: enumerators as words, and constants of all kernels.
#pragma once
#include "backends/vulkan/spirv/builder.h"

namespace linnet::spirv {

inline uint32_t word(auto value) { return static_cast<uint32_t>(value); }
inline bool isFloat(Type type) { return type.kind == Kind::f32 || type.kind == Kind::f16; }

constexpr auto kUniform = spv::StorageClass::StorageBuffer;
constexpr uint32_t kBuffersOrdered = static_cast<uint32_t>(spv::MemorySemanticsMask::AcquireRelease) |
                                     static_cast<uint32_t>(spv::MemorySemanticsMask::UniformMemory);

} // namespace linnet::spirv
