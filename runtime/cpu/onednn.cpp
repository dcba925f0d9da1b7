#include "runtime/cpu/onednn.h"
#include "support/error.h"

#include <algorithm>
#include <list>
#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

namespace linnet::cpu {
namespace {

using dnnl::memory;
using Pd = dnnl::matmul::primitive_desc;

// oneDNN makes and runs a primitive with as many threads as OpenMP would use at that moment.
class ThreadScope {
public:
  explicit ThreadScope(int threads) : before(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadScope() { omp_set_num_threads(before); }

private:
  int before;
};

dnnl::algorithm eltwise(fb::Activation activation) {
  switch (activation) {
  case fb::Activation::relu:
    return dnnl::algorithm::eltwise_relu;
  case fb::Activation::gelu_erf:
    return dnnl::algorithm::eltwise_gelu_erf;
  case fb::Activation::gelu_tanh:
    return dnnl::algorithm::eltwise_gelu_tanh;
  case fb::Activation::none:
    break;
  }
  return dnnl::algorithm::undef;
}

memory::data_type operandType(const MatmulShape &s) {
  return s.bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

struct Descriptors {
  memory::desc a, w, bias, out;
  explicit Descriptors(const MatmulShape &s)
      : a({s.m, s.k}, operandType(s),
          s.transpose_a ? memory::dims{1, s.a_stride} : memory::dims{s.a_stride, 1}),
        w({s.k, s.n}, operandType(s),
          !s.plain        ? (s.bf16 ? memory::format_tag::BA16a64b2a : memory::format_tag::BA16a64b)
          : s.transpose_w ? memory::format_tag::ba
                          : memory::format_tag::ab),
        out({s.m, s.n}, memory::data_type::f32, memory::format_tag::ab) {
    if (s.bias) bias = memory::desc({1, s.n}, memory::data_type::f32, memory::format_tag::ab);
  }
};

dnnl::primitive_attr attributes(const MatmulShape &s, const Descriptors &d) {
  dnnl::post_ops ops;
  if (s.activation != fb::Activation::none) {
#if DNNL_VERSION_MAJOR >= 3
    ops.append_eltwise(eltwise(s.activation), 0.f, 0.f);
#else
    ops.append_eltwise(1.f, eltwise(s.activation), 0.f, 0.f);
#endif
  }
  if (s.residual == Residual::Elsewhere) ops.append_binary(dnnl::algorithm::binary_add, d.out);
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

static bool isReference(const std::string &name) { return name.find("ref") != std::string::npos; }

static uint64_t copyBytes(const MatmulShape &s) {
  return (static_cast<uint64_t>(s.m * s.k) * 4 + 63) / 64 * 64;
}

// Rows that lie a_stride apart, one behind the other.
static void gatherRows(const MatmulShape &s, const float *a, float *dense, int threads) {
#pragma omp parallel for num_threads(threads)
  for (int64_t m = 0; m < s.m; ++m) std::copy_n(a + m * s.a_stride, s.k, dense + m * s.k);
}

// A shape's descriptor, and once it has run, its primitive with the memory objects that only want new
// addresses.
struct MatmulLibrary::Primitive {
  MatmulShape shape;
  bool gather = false; // the library wants dense rows: they are copied before
  Pd pd;
  std::string name;
  dnnl::matmul matmul;
  memory a, w, bias, residual, out, scratch;
  std::vector<dnnl_exec_arg_t> args;

  MatmulShape described() const {
    MatmulShape dense = shape;
    if (gather) dense.a_stride = dense.k;
    return dense;
  }
  void describe(const dnnl::engine &engine) {
    pd = cpu::describe(engine, described(), Descriptors(described()));
    name = pd.impl_info_str();
  }
  void compile(const dnnl::engine &engine) {
    if (!args.empty()) return;
    Descriptors d(described());
    matmul = dnnl::matmul(pd);
    auto add = [&](memory &slot, const memory::desc &desc, int index) {
      slot = memory(desc, engine, nullptr);
      args.push_back({index, slot.get()});
    };
    add(a, d.a, DNNL_ARG_SRC);
    add(w, d.w, DNNL_ARG_WEIGHTS);
    if (shape.bias) add(bias, d.bias, DNNL_ARG_BIAS);
    if (shape.residual == Residual::Elsewhere)
      add(residual, d.out, DNNL_ARG_ATTR_MULTIPLE_POST_OP(residualPosition(shape)) | DNNL_ARG_SRC_1);
    add(scratch, pd.scratchpad_desc(), DNNL_ARG_SCRATCHPAD);
    add(out, d.out, DNNL_ARG_DST);
  }
};

struct MatmulLibrary::State {
  int threads;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::list<Primitive> primitives; // most recently used first
};

MatmulLibrary::MatmulLibrary(int threads) : state(std::make_unique<State>()) { state->threads = threads; }
MatmulLibrary::~MatmulLibrary() = default;

Result<MatmulLibrary::Primitive *> MatmulLibrary::find(const MatmulShape &shape) {
  auto &list = state->primitives;
  for (auto it = list.begin(); it != list.end(); ++it)
    if (it->shape == shape) {
      list.splice(list.begin(), list, it);
      return &list.front();
    }
  try {
    ThreadScope threads(state->threads);
    Primitive made;
    made.shape = shape;
    made.describe(state->engine);
    if (isReference(made.name) && !shape.plain && !shape.bf16 &&
        shape.a_stride != shape.k) { // oneDNN 2.6 has nothing fast for strided rows
      made.gather = true;
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
  return static_cast<uint64_t>(primitive->pd.scratchpad_desc().get_size()) +
         (primitive->gather ? copyBytes(shape) : 0);
}

bool MatmulLibrary::supports(const MatmulShape &shape) {
  auto primitive = find(shape);
  return primitive && !isReference((*primitive)->name);
}

Result<void> MatmulLibrary::run(const MatmulShape &shape, const MatmulOperands &operands, void *scratch) {
  LINNET_ASSIGN(Primitive * p, find(shape));
  auto address = [](const void *pointer) { return const_cast<void *>(pointer); };
  try {
    ThreadScope threads(state->threads);
    p->compile(state->engine);
    if (p->gather) {
      gatherRows(shape, static_cast<const float *>(operands.a), static_cast<float *>(scratch),
                 state->threads);
      p->a.set_data_handle(scratch);
      scratch = static_cast<char *>(scratch) + copyBytes(shape);
    } else {
      p->a.set_data_handle(address(operands.a));
    }
    p->w.set_data_handle(address(operands.w));
    if (shape.bias) p->bias.set_data_handle(address(operands.bias));
    if (shape.residual == Residual::Elsewhere) p->residual.set_data_handle(address(operands.residual));
    p->scratch.set_data_handle(scratch);
    p->out.set_data_handle(operands.out);
    dnnl::error::wrap_c_api(dnnl_primitive_execute(p->matmul.get(), state->stream.get(),
                                                   static_cast<int>(p->args.size()), p->args.data()),
                            "could not execute");
    state->stream.wait();
  } catch (const dnnl::error &e) {
    return failed(shape, e);
  }
  return {};
}

void limitLibraryToAvx2() { dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2); }
void limitLibraryToSse41() { dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41); }

} // namespace linnet::cpu
