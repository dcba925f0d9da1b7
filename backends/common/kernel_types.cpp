#include "backends/common/kernel_types.h"

namespace linnet::backend {

const char *nameOf(Type type) {
  static const char *const kNames[] = {"f32", "f16", "bf16", "i32", "i8", "i4"};
  return kNames[int(type)];
}

const char *suffixOf(Activation activation) {
  static const char *const kNames[] = {"", "_relu", "_gelu_erf", "_gelu_tanh", "_gelu_quick", "_silu"};
  return kNames[int(activation)];
}

const char *nameOf(Reduction kind) {
  static const char *const kNames[] = {"sum", "mean", "max"};
  return kNames[int(kind)];
}

const char *nameOf(Pooling mode) {
  static const char *const kNames[] = {"last", "first", "mean"};
  return kNames[int(mode)];
}

int64_t sizeOf(Type type) {
  static const int64_t kSizes[] = {4, 2, 2, 4, 1, 0};
  return kSizes[int(type)];
}

std::string Extent::text() const {
  std::string text;
  for (uint8_t symbol : symbols) text += "d" + std::to_string(symbol);
  if (symbols.empty()) return std::to_string(factor);
  return factor == 1 ? text : text + "x" + std::to_string(factor);
}

Extent operator*(const Extent &x, const Extent &y) {
  Extent product = x;
  product.factor *= y.factor;
  product.symbols.insert(product.symbols.end(), y.symbols.begin(), y.symbols.end());
  return product;
}

} // namespace linnet::backend
