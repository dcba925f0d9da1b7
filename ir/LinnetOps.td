// The whole dialect, for tablegen.
include "ir/TensorOps.td"
include "ir/GradientOps.td"
