// oneDNN's C++ interface without a link to the library, which onednn.cpp loads. The functions in dnnl.hpp call C
// functions by unqualified names from namespace dnnl, so the pointers of these names hide the C functions. Only
// onednn.cpp includes this header: another file would have pointers that nothing sets.
#pragma once
#include <oneapi/dnnl/dnnl.h>

namespace dnnl {
#define X(name) static decltype(&::name) name = nullptr;
#include "runtime/cpu/onednn_functions.inc"
#undef X
} // namespace dnnl

#include <oneapi/dnnl/dnnl.hpp>
