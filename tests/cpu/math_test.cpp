// Accuracy of the vector functions against double precision, over every magnitude and the special values.
#include "backends/cpu/emitter.h"
#include "tests/catch.h"
#include "tests/cpu/image.h"

#include <bit>
#include <cmath>
#include <functional>

using namespace linnet::cpu;
using namespace linnet::cpu::testing;

namespace {

struct Function {
  const char *name;
  std::function<Value *(Emitter &, Value *)> emit;
  double (*exact)(double);
  double ulps; ///< bound of the error in units in the last place of the exact result
};

double exactGeluTanh(double x) {
  return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double exactGeluQuick(double x) { return x / (1 + std::exp(-1.702 * x)); }
double exactSilu(double x) { return x / (1 + std::exp(-x)); }

KernelSource unaryKernel(const Function &function) {
  CpuElementwiseSpec spec;
  spec.name = function.name;
  spec.shape = {Extent::symbol(0)};
  spec.in = {Type::f32}, spec.out = {Type::f32}, spec.broadcast = {0};
  spec.body = [function](Emitter &e, const std::vector<llvm::Value *> &in) {
    return std::vector<llvm::Value *>{function.emit(e, in[0])};
  };
  return elementwiseKernel(spec);
}

/// Every 1009th of all floats, and the ones where something special happens.
std::vector<float> samples() {
  std::vector<float> values = {0.0f,     -0.0f,    INFINITY,        -INFINITY,    NAN,
                               1.0f,     -1.0f,    88.72283f,       88.72284f,    -87.33655f,
                               -103.97f, -103.98f, -104.1f,         0.625f,       0.93f,
                               3.95f,    1e-45f,   1.17549435e-38f, 3.4028235e38f};
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 1009)
    values.push_back(std::bit_cast<float>(uint32_t(bits)));
  return values;
}

double ulpError(float found, double exact) {
  if (std::isnan(exact)) return std::isnan(found) ? 0 : INFINITY;
  const float nearest = float(exact);
  if (found == nearest) return 0;
  if (!std::isfinite(nearest) || !std::isfinite(found)) {
    // A result beyond the largest float may round to either side of it.
    return std::abs(exact) > 3.4028230e38 && std::abs(found) > 3.4028230e38 ? 1 : INFINITY;
  }
  const int exponent = std::max(std::ilogb(exact == 0 ? 1e-300 : exact), -126);
  return std::abs(found - exact) / std::ldexp(1.0, exponent - 23);
}

} // namespace

TEST_CASE("elementary functions are accurate to a few units in the last place") {
  auto of = [](Value *(Emitter::*emit)(Value *)) {
    return [emit](Emitter &e, Value *x) { return (e.*emit)(x); };
  };
  auto activation = [](Activation activation) {
    return [activation](Emitter &e, Value *x) { return e.activate(activation, x); };
  };
  const Function function = GENERATE_COPY(
      Function{"exp", of(&Emitter::exp), std::exp, 1.5}, Function{"log", of(&Emitter::log), std::log, 1.5},
      Function{"tanh", of(&Emitter::tanh), std::tanh, 2.5}, Function{"erf", of(&Emitter::erf), std::erf, 2.0},
      Function{"gelu_tanh", activation(Activation::gelu_tanh), exactGeluTanh, 0},
      Function{"gelu_quick", activation(Activation::gelu_quick), exactGeluQuick, 0},
      Function{"silu", activation(Activation::silu), exactSilu, 0});
  std::vector<float> x = samples();
  onEachIsa(unaryKernel(function), [&](const Isa &isa, Kernel kernel) {
    std::vector<float> y(x.size());
    const int64_t dims[] = {int64_t(x.size())};
    void *args[] = {x.data(), y.data()};
    kernel(dims, args, 0, dims[0]);
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double error = ulpError(y[i], function.exact(x[i]));
      if (function.ulps ==
          0) { // no bound near the zeros of a composed function: error relative to |x|, in range
        if (!(std::abs(x[i]) < 1e4f)) continue;
        error = std::abs(y[i] - function.exact(x[i])) <= 1e-6 * std::abs(x[i]) + 1e-44 ? 0 : INFINITY;
      }
      if (error > worst) worst = error, where = x[i];
    }
    INFO(function.name << " on " << isa.name << ": " << worst << " ulp at " << where);
    CHECK(worst <= function.ulps);
    const std::vector<float> vector_results(y.begin(), y.begin() + 64);
    for (int64_t i = 0; i < 64; ++i) kernel(dims, args, i, i + 1); // one at a time: the scalar path
    for (int64_t i = 0; i < 64; ++i)
      CHECK(std::bit_cast<uint32_t>(y[i]) == std::bit_cast<uint32_t>(vector_results[i]));
  });
}
