// Philox4x32-10 (runtime/philox.h) for kernels.
#pragma once
#include "backends/vulkan/emitter.h"

#include <array>

namespace linnet::vulkan {

/// The high word of the product of two words. Instructions that return both words are slow or missing on some devices.
Value highProduct(Emitter &e, Value x, Value y);
/// The first word of philox4x32.
Value philox(Emitter &e, std::array<Value, 4> counter, std::array<Value, 2> key);

} // namespace linnet::vulkan
