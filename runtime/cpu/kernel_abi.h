// The contract between code generated at compile time and the runtime that calls it.
#pragma once
#include <cstdint>

namespace linnet::cpu {

/// A generated kernel computes work items [begin, end) of its command. Items are independent: any division
/// among threads gives the same bytes.
///
/// dims: the value of each of Program.symbols in this call.
/// args: the address of each of the command's operands, the Ref's offset already added.
using Kernel = void (*)(const int64_t *dims, void *const *args, int64_t begin, int64_t end);

/// A packed-matmul kernel (PackedMatmul.kernel) has args {a, w, bias, residual, out, scale}, null if absent,
/// and dims = {m}. Items are panels of `n_block` columns. The kernel reads a's rows at stride a_stride.

} // namespace linnet::cpu
