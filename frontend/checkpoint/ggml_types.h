// GGML's numbers and names of tensor types, as GGUF files store them.
#pragma once
#include "frontend/checkpoint/tensor.h"

#include <cstdint>
#include <optional>
#include <string>

namespace linnet {

/// The type with this number, or nothing if Linnet does not read it.
std::optional<StorageType> storageTypeOf(uint32_t ggml_type);
/// "Q2_K", or "number 77" if GGML has no such type.
std::string ggmlTypeName(uint32_t ggml_type);
/// The number of a type that GGUF can store.
uint32_t ggmlTypeOf(StorageType type);
/// "F32, F16, ...": all types that Linnet reads.
std::string readableGgmlTypes();

} // namespace linnet
