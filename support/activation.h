// Constants of activation functions that the IR, the kernels and the runtime share.
#pragma once

namespace linnet {

/// The slopes k of x / (1 + e^(-k x)): gelu_quick (Hendrycks and Gimpel's approximation) and silu.
inline constexpr double kGeluQuickSlope = 1.702, kSiluSlope = 1;

} // namespace linnet
