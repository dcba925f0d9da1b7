#include "runtime/cpu/onednn.h"
#include "support/activation.h"
#include "support/error.h"
#include "support/processor.h"

#include "runtime/cpu/onednn_api.h"
#include <algorithm>
#include <cstddef>
#include <dlfcn.h>
#include <list>
#include <omp.h>
#include <vector>

namespace linnet::cpu {
namespace {

using dnnl::memory;
using Pd = dnnl::matmul::primitive_desc;

// Sets OpenMP's number of threads to one, because oneDNN creates and runs primitives with that number.
class OneThread {
public:
  OneThread() : before(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before); }

private:
  int before;
};

/// The slope of swish, x / (1 + e^(-slope x)).
float slopeOf(fb::Activation activation) {
  return activation == fb::Activation::gelu_quick ? static_cast<float>(kGeluQuickSlope)
         : activation == fb::Activation::silu     ? static_cast<float>(kSiluSlope)
                                                  : 0.f;
}

dnnl::algorithm eltwise(fb::Activation activation) {
  switch (activation) {
  case fb::Activation::relu:
    return dnnl::algorithm::eltwise_relu;
  case fb::Activation::gelu_erf:
    return dnnl::algorithm::eltwise_gelu_erf;
  case fb::Activation::gelu_tanh:
    return dnnl::algorithm::eltwise_gelu_tanh;
  case fb::Activation::gelu_quick:
  case fb::Activation::silu:
    return dnnl::algorithm::eltwise_swish;
  case fb::Activation::none:
    break;
  }
  return dnnl::algorithm::undef;
}

memory::data_type operandType(const MatmulShape &s) {
  return s.bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

int64_t rowOfW(const MatmulShape &s) { return s.w_stride ? s.w_stride : s.transpose_w ? s.k : s.n; }
int64_t rowOfOut(const MatmulShape &s) { return s.out_stride ? s.out_stride : s.n; }

memory::desc weights(const MatmulShape &s) {
  const memory::dims shape = {s.k, s.n};
  if (!s.plain)
    return {shape, operandType(s), s.bf16 ? memory::format_tag::BA16a64b2a : memory::format_tag::BA16a64b};
  return {shape, operandType(s), s.transpose_w ? memory::dims{1, rowOfW(s)} : memory::dims{rowOfW(s), 1}};
}

struct Descriptors {
  memory::desc a, w, bias, residual, out;
  Descriptors(const MatmulShape &s, bool dense_residual)
      : a({s.m, s.k}, operandType(s),
          s.transpose_a ? memory::dims{1, s.a_stride} : memory::dims{s.a_stride, 1}),
        w(weights(s)), out({s.m, s.n}, memory::data_type::f32, memory::dims{rowOfOut(s), 1}) {
    residual =
        dense_residual ? memory::desc({s.m, s.n}, memory::data_type::f32, memory::format_tag::ab) : out;
    if (s.bias) bias = memory::desc({1, s.n}, memory::data_type::f32, memory::format_tag::ab);
  }
};

dnnl::primitive_attr attributes(const MatmulShape &s, const Descriptors &d) {
  dnnl::post_ops ops;
  if (s.activation != fb::Activation::none) {
#if DNNL_VERSION_MAJOR >= 3
    ops.append_eltwise(eltwise(s.activation), slopeOf(s.activation), 0.f);
#else
    ops.append_eltwise(1.f, eltwise(s.activation), slopeOf(s.activation), 0.f);
#endif
  }
  if (s.residual == Residual::Elsewhere) ops.append_binary(dnnl::algorithm::binary_add, d.residual);
  if (s.residual == Residual::InPlace) ops.append_sum(1.f);
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

Pd describe(const dnnl::engine &engine, const MatmulShape &s, const Descriptors &d) {
  auto attr = attributes(s, d);
#if DNNL_VERSION_MAJOR >= 3
  return s.bias ? Pd(engine, d.a, d.w, d.bias, d.out, attr) : Pd(engine, d.a, d.w, d.out, attr);
#else
  auto desc = s.bias ? dnnl::matmul::desc(d.a, d.w, d.bias, d.out) : dnnl::matmul::desc(d.a, d.w, d.out);
  return Pd(desc, attr, engine);
#endif
}

int residualPosition(const MatmulShape &s) { return s.activation == fb::Activation::none ? 0 : 1; }

Error failed(const MatmulShape &s, const dnnl::error &e) {
  return errorf("oneDNN: matmul {}x{}x{}: {}", s.m, s.k, s.n, e.what());
}

} // namespace

MatmulShape slicedShape(const MatmulShape &whole, Along along, int64_t size) {
  MatmulShape slice = whole;
  slice.w_stride = whole.plain ? rowOfW(whole) : 0;
  slice.out_stride = rowOfOut(whole);
  (along == Along::Rows ? slice.m : slice.n) = size;
  return slice;
}

MatmulOperands slicedOperands(const MatmulShape &whole, const MatmulOperands &operands, Along along,
                              int64_t begin) {
  const int64_t bytes = whole.bf16 ? 2 : 4;
  auto moved = [](const void *pointer, int64_t by) {
    return pointer ? static_cast<const std::byte *>(pointer) + by : nullptr;
  };
  MatmulOperands slice = operands;
  int64_t of_out = begin;
  if (along == Along::Rows) {
    slice.a = moved(operands.a, begin * bytes * (whole.transpose_a ? 1 : whole.a_stride));
    of_out *= rowOfOut(whole);
  } else {
    slice.w = moved(operands.w, begin * bytes * (whole.transpose_w ? rowOfW(whole) : 1));
    slice.bias = moved(operands.bias, begin * 4);
  }
  slice.residual = moved(operands.residual, of_out * 4);
  slice.out = static_cast<std::byte *>(operands.out) + of_out * 4;
  return slice;
}

static bool isReference(const std::string &name) { return name.find("ref") != std::string::npos; }

static uint64_t alignedFloats(int64_t count) { return (static_cast<uint64_t>(count) * 4 + 63) / 64 * 64; }

// Copies rows with a stride of `stride` elements to dense rows.
static void copyRows(const float *from, int64_t stride, float *dense, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) std::copy_n(from + row * stride, columns, dense + row * columns);
}

// A shape's descriptor and, after its first run, its primitive and its memory objects, which only need new
// addresses.
struct MatmulLibrary::Primitive {
  MatmulShape shape;
  bool gather = false; // the library needs dense rows: they are copied before
  bool copy_residual =
      false; // the library cannot add what `out` held after an activation: it is copied before
  Pd pd;
  std::string name;
  dnnl::matmul matmul;
  memory a, w, bias, residual, out, scratch;
  std::vector<dnnl_exec_arg_t> args;

  MatmulShape described() const {
    MatmulShape dense = shape;
    if (gather) dense.a_stride = dense.k;
    if (copy_residual) dense.residual = Residual::Elsewhere;
    return dense;
  }
  uint64_t gatheredBytes() const { return gather ? alignedFloats(shape.m * shape.k) : 0; }
  uint64_t residualBytes() const { return copy_residual ? alignedFloats(shape.m * shape.n) : 0; }
  void describe(const dnnl::engine &engine) {
    pd = cpu::describe(engine, described(), Descriptors(described(), copy_residual));
    name = pd.impl_info_str();
  }
  void compile(const dnnl::engine &engine) {
    if (!args.empty()) return;
    Descriptors d(described(), copy_residual);
    matmul = dnnl::matmul(pd);
    auto add = [&](memory &slot, const memory::desc &desc, int index) {
      slot = memory(desc, engine, nullptr);
      args.push_back({index, slot.get()});
    };
    add(a, d.a, DNNL_ARG_SRC);
    add(w, d.w, DNNL_ARG_WEIGHTS);
    if (shape.bias) add(bias, d.bias, DNNL_ARG_BIAS);
    if (described().residual == Residual::Elsewhere)
      add(residual, d.residual, DNNL_ARG_ATTR_MULTIPLE_POST_OP(residualPosition(shape)) | DNNL_ARG_SRC_1);
    add(scratch, pd.scratchpad_desc(), DNNL_ARG_SCRATCHPAD);
    add(out, d.out, DNNL_ARG_DST);
  }
};

struct MatmulLibrary::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::list<Primitive> primitives; // most recently used first
};

// oneDNN's level for the limit of the processor. oneDNN accepts it only before its first primitive.
static dnnl_cpu_isa_t limitedLevel() {
  if (!hostHasFeature("avx2")) return dnnl_cpu_isa_sse41;
  if (!hostHasFeature("avx512f")) return dnnl_cpu_isa_avx2;
  if (!hostHasFeature("avx512vnni")) return dnnl_cpu_isa_avx512_core;
  return dnnl_cpu_isa_avx512_core_bf16;
}

#define LINNET_TEXT(x) #x
#define LINNET_TEXT_OF(x) LINNET_TEXT(x)
static constexpr const char *kMajor = LINNET_TEXT_OF(DNNL_VERSION_MAJOR);

// Loads the library of the headers' major version and resolves its functions. Returns the fault, or nothing.
static std::string loadFunctions() {
  const std::string name = std::string("libdnnl.so.") + kMajor;
  void *library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
#define X(function)                                                                                          \
  dnnl::function = reinterpret_cast<decltype(dnnl::function)>(dlsym(library, #function));                    \
  if (!dnnl::function) return dlerror();
#include "runtime/cpu/onednn_functions.inc"
#undef X
  if (!processorLimit().empty()) dnnl::dnnl_set_max_cpu_isa(limitedLevel());
  return "";
}

MatmulLibrary::MatmulLibrary() = default;
MatmulLibrary::~MatmulLibrary() = default;

Result<void> MatmulLibrary::load() {
  static const std::string fault = loadFunctions();
  if (fault.empty()) return {};
  return errorf(
      "expected oneDNN {} for its matmuls, found {}: install the package libdnnl{}, or compile or train with "
      "--no-onednn",
      kMajor, fault, kMajor);
}

Result<std::string> matmulLibraryVersion() {
  LINNET_TRY(MatmulLibrary::load());
  const dnnl_version_t *version = dnnl::dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

Result<MatmulLibrary::Primitive *> MatmulLibrary::find(const MatmulShape &shape) {
  if (!state) {
    LINNET_TRY(load());
    try {
      state = std::make_unique<State>();
    } catch (const dnnl::error &e) {
      return failed(shape, e);
    }
  }
  auto &list = state->primitives;
  for (auto it = list.begin(); it != list.end(); ++it)
    if (it->shape == shape) {
      list.splice(list.begin(), list, it);
      return &list.front();
    }
  try {
    OneThread scope;
    Primitive made;
    made.shape = shape;
    made.describe(state->engine);
    if (isReference(made.name) && !shape.plain && !shape.bf16 &&
        shape.a_stride != shape.k) { // oneDNN 2.6 has no fast kernel for strided rows
      made.gather = true;
      made.describe(state->engine);
    }
    if (isReference(made.name) && shape.residual == Residual::InPlace &&
        shape.activation !=
            fb::Activation::none) { // without AVX-512, oneDNN adds to `out` only as part of the product
      made.copy_residual = true;
      made.describe(state->engine);
    }
    list.push_front(std::move(made));
  } catch (const dnnl::error &e) {
    return failed(shape, e);
  }
  if (list.size() > kCapacity) list.pop_back();
  return &list.front();
}

Result<std::string> MatmulLibrary::implementation(const MatmulShape &shape) {
  LINNET_ASSIGN(Primitive * primitive, find(shape));
  return primitive->name;
}

Result<uint64_t> MatmulLibrary::scratchBytes(const MatmulShape &shape) {
  LINNET_ASSIGN(Primitive * primitive, find(shape));
  return static_cast<uint64_t>(primitive->pd.scratchpad_desc().get_size()) + primitive->gatheredBytes() +
         primitive->residualBytes();
}

bool MatmulLibrary::supports(const MatmulShape &shape) {
  auto primitive = find(shape);
  return primitive && !isReference((*primitive)->name);
}

Result<void> MatmulLibrary::run(const MatmulShape &shape, const MatmulOperands &operands, void *scratch) {
  LINNET_ASSIGN(Primitive * p, find(shape));
  auto address = [](const void *pointer) { return const_cast<void *>(pointer); };
  try {
    OneThread scope;
    p->compile(state->engine);
    if (p->gather) {
      copyRows(static_cast<const float *>(operands.a), shape.a_stride, static_cast<float *>(scratch), shape.m,
               shape.k);
      p->a.set_data_handle(scratch);
      scratch = static_cast<char *>(scratch) + p->gatheredBytes();
    } else {
      p->a.set_data_handle(address(operands.a));
    }
    p->w.set_data_handle(address(operands.w));
    if (shape.bias) p->bias.set_data_handle(address(operands.bias));
    if (shape.residual == Residual::Elsewhere) p->residual.set_data_handle(address(operands.residual));
    if (p->copy_residual) {
      copyRows(static_cast<const float *>(operands.out), rowOfOut(shape), static_cast<float *>(scratch),
               shape.m, shape.n);
      p->residual.set_data_handle(scratch);
      scratch = static_cast<char *>(scratch) + p->residualBytes();
    }
    p->scratch.set_data_handle(scratch);
    p->out.set_data_handle(operands.out);
    dnnl::error::wrap_c_api(dnnl::dnnl_primitive_execute(p->matmul.get(), state->stream.get(),
                                                         static_cast<int>(p->args.size()), p->args.data()),
                            "could not execute");
    state->stream.wait();
  } catch (const dnnl::error &e) {
    return failed(shape, e);
  }
  return {};
}

} // namespace linnet::cpu
