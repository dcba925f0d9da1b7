#include "runtime/artifact/check.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/dispatch_check.h"
#include "runtime/artifact/format.h"
#include "runtime/expr.h"
#include "runtime/layout.h"
#include "support/error.h"

#include <algorithm>
#include <set>
#include <vector>

namespace linnet {
namespace {

constexpr size_t kMaxSymbols = 64, kMaxPrograms = 64, kMaxRank = 16;

// Whether [offset, offset + size) is inside [0, limit), without overflow.
bool within(uint64_t offset, uint64_t size, uint64_t limit) {
  return size <= limit && offset <= limit - size;
}

// FlatBuffers' verifier checks the alignment of a vector's length, but not that of its elements.
bool aligned(const flatbuffers::Vector<int64_t> &list) {
  return list.size() == 0 || reinterpret_cast<uintptr_t>(list.Data()) % alignof(int64_t) == 0;
}

// Checks one program. `where` is the path of the checked field, for messages.
class ProgramCheck {
public:
  explicit ProgramCheck(const fb::Program &program) : program(program) {}
  Result<void> check();

private:
  Result<void> checkSymbols();
  Result<void> checkWeight(const fb::Weight &weight);
  Result<void> checkStates();
  Result<void> checkCode();
  Result<void> checkEntry(const fb::Entry &entry);
  Result<void> checkPorts(const flatbuffers::Vector<flatbuffers::Offset<fb::Port>> &ports, const char *what);
  Result<void> checkShape(const flatbuffers::Vector<flatbuffers::Offset<fb::Expr>> &shape, fb::DType dtype,
                          uint64_t bytes, const std::string &what);
  Result<int64_t> checkExpr(const fb::Expr *expr, const char *what);
  Result<void> checkRef(const fb::Ref *ref, const char *what);
  Result<void> checkCommand(const fb::Command &command);
  Result<void> checkKernel(uint32_t kernel);
  Result<void> checkCall(const fb::KernelCall &call);
  Result<void> checkGemm(const fb::KernelCall &call, const fb::Gemm &gemm);
  Result<void> checkMatmul(const fb::PackedMatmul &call);
  Result<void> checkGpu(const fb::Dispatch &dispatch);
  Result<void> checkPanel(const fb::Ref &w, int64_t k, int64_t n, const char *what);
  Result<uint64_t> areaBytes(const fb::Ref &ref) const;

  template <class... Args> Error wrong(fmt::format_string<Args...> format, Args &&...args) const {
    return Error{where + fmt::format(format, std::forward<Args>(args)...)};
  }

  const fb::Program &program;
  const fb::Entry *entry = nullptr;
  std::vector<int64_t> bounds;
  std::string where;
};

Result<void> ProgramCheck::check() {
  std::string prefix = fmt::format("program '{}': ", program.target()->string_view());
  where = prefix;
  if (program.arena_bytes() > kMaxAreaBytes || program.state_bytes() > kMaxAreaBytes)
    return wrong("absurd sizes: arena {}, states {} bytes", program.arena_bytes(), program.state_bytes());
  if (program.counter_bytes() > program.arena_bytes())
    return wrong("{} bytes of counters in an arena of {}", program.counter_bytes(), program.arena_bytes());
  if (const uint64_t begin = program.arena_bytes() - program.counter_bytes();
      program.counter_bytes() && begin % kBufferAlignment)
    return wrong("counters begin at {}, no multiple of {}", begin, kBufferAlignment);
  LINNET_TRY(checkSymbols());
  for (const fb::Weight *weight : *program.weights()) LINNET_TRY(checkWeight(*weight));
  LINNET_TRY(checkCode());
  if (program.shaders())
    for (const fb::Shader *shader : *program.shaders())
      if (auto good = checkShader(*shader); !good) return wrong("{}", good.error().message);
  LINNET_TRY(checkStates());
  std::set<std::string_view> names;
  for (const fb::Entry *e : *program.entries()) {
    where = fmt::format("{}entry '{}': ", prefix, e->name()->string_view());
    if (!names.insert(e->name()->string_view()).second) return wrong("there are two of that name");
    LINNET_TRY(checkEntry(*e));
  }
  where = prefix;
  for (uint32_t i = 0; program.known_answers() && i < program.known_answers()->size(); ++i) {
    const fb::KnownAnswer &known = *program.known_answers()->Get(i);
    if (!aligned(*known.symbols())) return wrong("known answer {}: its sizes are not aligned", i);
    if (auto good = checkKnownAnswer(program, known); !good)
      return wrong("known answer {}: {}", i, good.error().message);
  }
  return {};
}

Result<void> ProgramCheck::checkSymbols() {
  if (program.symbols()->size() > kMaxSymbols)
    return wrong("{} symbols, at most {} are possible", program.symbols()->size(), kMaxSymbols);
  for (const fb::Entry *e : *program.entries()) {
    if (e->bounds()->size() != program.symbols()->size())
      return wrong("entry '{}' has {} bounds for {} symbols", e->name()->string_view(), e->bounds()->size(),
                   program.symbols()->size());
    if (!aligned(*e->bounds()))
      return wrong("entry '{}': its bounds are not aligned", e->name()->string_view());
    for (int64_t bound : *e->bounds())
      if (bound < 1 || bound > kMaxExprValue)
        return wrong("entry '{}': a bound of {}", e->name()->string_view(), bound);
  }
  return {};
}

Result<void> ProgramCheck::checkWeight(const fb::Weight &weight) {
  auto name = weight.name()->string_view();
  if (storageBytes(weight.dtype(), 2) == 0) return wrong("weight '{}': unknown element type", name);
  if (weight.shape()->size() > kMaxRank)
    return wrong("weight '{}': {} dimensions", name, weight.shape()->size());
  if (!aligned(*weight.shape())) return wrong("weight '{}': its shape is not aligned", name);
  __int128 count = 1;
  for (int64_t dim : *weight.shape()) {
    if (dim < 0 || dim > kMaxExprValue) return wrong("weight '{}': a dimension of {}", name, dim);
    count *= dim;
    if (count > kMaxExprValue) return wrong("weight '{}': its shape is too large", name);
  }
  if (weight.layout()->size() && !parsePanelLayout(weight.layout()->string_view()))
    return wrong("weight '{}': unknown layout '{}'", name, weight.layout()->string_view());
  uint64_t expected = storageBytes(weight.dtype(), static_cast<uint64_t>(count));
  uint64_t found = weight.blob()->size();
  bool good = weight.layout()->size() ? found >= expected : found == expected;
  if (!good) return wrong("weight '{}': its shape needs {} bytes, it has {}", name, expected, found);
  return {};
}

Result<void> ProgramCheck::checkCode() {
  for (const fb::Code *code : *program.code())
    if (code->blob()->size() == 0) return wrong("no machine code for {}", code->isa()->string_view());
  return {};
}

Result<void> ProgramCheck::checkStates() {
  uint64_t sum = 0;
  for (const fb::State *state : *program.states()) {
    if (state->bytes() > kMaxAreaBytes) return wrong("state '{}': absurd size", state->name()->string_view());
    sum += state->bytes();
    if (sum > kMaxAreaBytes) return wrong("absurd size of states");
    for (const fb::Entry *e : *program.entries()) {
      bounds.assign(e->bounds()->begin(), e->bounds()->end());
      LINNET_TRY(checkShape(*state->shape(), state->dtype(), state->bytes(),
                            fmt::format("state '{}'", state->name()->string_view())));
    }
  }
  if (program.state_bytes() < sum)
    return wrong("states need {} bytes, {} are reserved", sum, program.state_bytes());
  return {};
}

Result<void> ProgramCheck::checkShape(const flatbuffers::Vector<flatbuffers::Offset<fb::Expr>> &shape,
                                      fb::DType dtype, uint64_t bytes, const std::string &what) {
  uint64_t element = elementBytes(dtype);
  if (element == 0) return wrong("{}: unknown element type", what);
  if (shape.size() > kMaxRank) return wrong("{}: {} dimensions", what, shape.size());
  for (const fb::Expr *dim : shape)
    if (auto value = checkExpr(dim, "a dimension"); !value) return value.error();
  auto count = elementCount(shape, bounds);
  if (!count) return wrong("{}: its shape at the bounds is too large", what);
  if (uint64_t need = static_cast<uint64_t>(*count) * element; need > bytes)
    return wrong("{}: its shape at the bounds needs {} bytes, {} are reserved", what, need, bytes);
  return {};
}

Result<int64_t> ProgramCheck::checkExpr(const fb::Expr *expr, const char *what) {
  auto value = valueAtBounds(expr, bounds, what);
  if (!value) return wrong("{}", value.error().message);
  return *value;
}

Result<void> ProgramCheck::checkEntry(const fb::Entry &e) {
  entry = &e;
  bounds.assign(e.bounds()->begin(), e.bounds()->end());
  if (const uint64_t room = program.arena_bytes() - program.counter_bytes(); e.arena_bytes() > room)
    return wrong("uses {} bytes of an arena of {}", e.arena_bytes(), room);
  if (e.io_bytes() > kMaxAreaBytes) return wrong("absurd size of inputs and outputs");
  LINNET_TRY(checkPorts(*e.inputs(), "input"));
  LINNET_TRY(checkPorts(*e.outputs(), "output"));
  std::string prefix = where;
  for (uint32_t i = 0; i < e.commands()->size(); ++i) {
    const fb::Command &command = *e.commands()->Get(i);
    where = fmt::format("{}command {} ({}): ", prefix, i, command.op()->string_view());
    LINNET_TRY(checkCommand(command));
  }
  return {};
}

Result<void> ProgramCheck::checkPorts(const flatbuffers::Vector<flatbuffers::Offset<fb::Port>> &ports,
                                      const char *what) {
  std::set<std::string_view> names;
  for (const fb::Port *port : ports) {
    std::string label = fmt::format("{} '{}'", what, port->name()->string_view());
    if (!names.insert(port->name()->string_view()).second)
      return wrong("{}: there are two of that name", label);
    if (!within(port->offset(), port->bytes(), entry->io_bytes()))
      return wrong("{}: [{}, +{}) lies outside its area of {} bytes", label, port->offset(), port->bytes(),
                   entry->io_bytes());
    if (port->offset() % format::kAlignment)
      return wrong("{}: offset {} is not aligned", label, port->offset());
    LINNET_TRY(checkShape(*port->shape(), port->dtype(), port->bytes(), label));
  }
  return {};
}

Result<uint64_t> ProgramCheck::areaBytes(const fb::Ref &ref) const {
  uint32_t i = ref.index();
  auto pick = [&](auto *list, auto size) -> Result<uint64_t> {
    if (i >= list->size())
      return wrong("number {} of {} {}", i, list->size(), fb::EnumNameSpace(ref.space()));
    return size(*list->Get(i));
  };
  switch (ref.space()) {
  case fb::Space::weight:
    return pick(program.weights(), [](const fb::Weight &w) { return w.blob()->size(); });
  case fb::Space::state:
    return pick(program.states(), [](const fb::State &s) { return s.bytes(); });
  case fb::Space::input:
    return pick(entry->inputs(), [](const fb::Port &p) { return p.bytes(); });
  case fb::Space::output:
    return pick(entry->outputs(), [](const fb::Port &p) { return p.bytes(); });
  case fb::Space::arena:
    return entry->arena_bytes();
  case fb::Space::counter:
    return program.counter_bytes();
  }
  return wrong("unknown memory space");
}

Result<void> ProgramCheck::checkRef(const fb::Ref *ref, const char *what) {
  if (!ref) return {};
  LINNET_ASSIGN(uint64_t area, areaBytes(*ref));
  if (!within(ref->offset(), ref->size(), area))
    return wrong("{}: [{}, +{}) lies outside {} {} of {} bytes", what, ref->offset(), ref->size(),
                 fb::EnumNameSpace(ref->space()), ref->index(), area);
  return {};
}

Result<void> ProgramCheck::checkCommand(const fb::Command &command) {
  LINNET_TRY(checkExpr(command.flops(), "flops"));
  LINNET_TRY(checkExpr(command.bytes(), "bytes"));
  if (command.only_for())
    for (uint16_t output : *command.only_for())
      if (output >= entry->outputs()->size())
        return wrong("is only for output {} of {}", output, entry->outputs()->size());
  auto *dispatch = command.body_as_Dispatch();
  if (program.shaders() && program.shaders()->size() && !dispatch)
    return wrong("a program of shaders has dispatches only");
  if (dispatch) return checkGpu(*dispatch);
  if (auto *call = command.body_as_KernelCall()) return checkCall(*call);
  if (auto *call = command.body_as_PackedMatmul()) return checkMatmul(*call);
  return wrong("unknown kind of command");
}

Result<void> ProgramCheck::checkKernel(uint32_t kernel) {
  if (kernel < program.kernels()->size()) return {};
  return wrong("kernel {} of {}", kernel, program.kernels()->size());
}

Result<void> ProgramCheck::checkCall(const fb::KernelCall &call) {
  LINNET_TRY(checkKernel(call.kernel()));
  if (call.grain() == 0) return wrong("a grain of 0");
  LINNET_TRY(checkExpr(call.work(), "work"));
  for (const fb::Ref *ref : *call.args()) LINNET_TRY(checkRef(ref, "operand"));
  return call.gemm() ? checkGemm(call, *call.gemm()) : Result<void>();
}

Result<void> ProgramCheck::checkGemm(const fb::KernelCall &call, const fb::Gemm &gemm) {
  LINNET_ASSIGN(int64_t m, checkExpr(gemm.m(), "m"));
  LINNET_ASSIGN(int64_t k, checkExpr(gemm.k(), "k"));
  LINNET_ASSIGN(int64_t n, checkExpr(gemm.n(), "n"));
  constexpr int64_t kMaxDim = int64_t(1) << 28; // keeps every product below in range
  if (m < 1 || m > kMaxDim || k < 1 || k > kMaxDim || n < 1 || n > kMaxDim)
    return wrong("sizes m {} k {} n {}", m, k, n);
  if (gemm.activation() > fb::Activation::MAX) return wrong("unknown activation");
  if (call.args()->size() < 5) return wrong("a matmul of {} operands", call.args()->size());
  const int64_t numbers[] = {m * k, k * n, gemm.bias() ? n : 0, gemm.residual() ? m * n : 0, m * n};
  for (uint32_t i = 0; i < 5; ++i) {
    const uint64_t bytes = static_cast<uint64_t>(numbers[i]) * (i < 2 && gemm.bf16() ? 2 : 4);
    if (call.args()->Get(i)->size() < bytes)
      return wrong("operand {}: needs {} bytes at the bounds, it has {}", i, bytes,
                   call.args()->Get(i)->size());
  }
  return {};
}

Result<void> ProgramCheck::checkGpu(const fb::Dispatch &dispatch) {
  for (const fb::Ref *ref : *dispatch.args()) LINNET_TRY(checkRef(ref, "operand"));
  auto good = checkDispatch(program, dispatch, bounds);
  if (!good) return wrong("{}", good.error().message);
  return {};
}

Result<void> ProgramCheck::checkPanel(const fb::Ref &w, int64_t k, int64_t n, const char *what) {
  if (w.space() != fb::Space::weight) return wrong("{} is not a weight", what);
  const fb::Weight &weight = *program.weights()->Get(w.index());
  auto layout = parsePanelLayout(weight.layout()->string_view());
  if (!layout) return wrong("{} is not packed in panels but '{}'", what, weight.layout()->string_view());
  uint64_t need = storageBytes(weight.dtype(), static_cast<uint64_t>(layout->elements(k, n)));
  if (w.size() < need)
    return wrong("{}: {} x {} in panels needs {} bytes, it has {}", what, k, n, need, w.size());
  return {};
}

Result<void> ProgramCheck::checkMatmul(const fb::PackedMatmul &call) {
  constexpr int64_t kMaxDim = int64_t(1) << 24; // keeps every product below in range
  LINNET_TRY(checkKernel(call.kernel()));
  const fb::Ref *operands[] = {call.a(), call.w(), call.bias(), call.residual(), call.out(), call.scale()};
  const char *names[] = {"a", "w", "bias", "residual", "out", "scale"};
  for (int i = 0; i < 6; ++i) LINNET_TRY(checkRef(operands[i], names[i]));
  LINNET_ASSIGN(int64_t m, checkExpr(call.m(), "m"));
  int64_t k = call.k(), n = call.n(), stride = call.a_stride();
  if (m < 1 || m > kMaxDim || k < 1 || k > kMaxDim || n < 1 || n > kMaxDim || stride < k || stride > kMaxDim)
    return wrong("sizes m {} k {} n {} with a stride of {}", m, k, n, stride);
  if (call.activation() > fb::Activation::MAX) return wrong("unknown activation");
  LINNET_TRY(checkPanel(*call.w(), k, n, "w"));
  if (call.scale()) {
    if (call.group() < 0 || call.group() > kMaxDim) return wrong("groups of {}", call.group());
    int64_t groups = call.group() ? (k + call.group() - 1) / call.group() : 1;
    LINNET_TRY(checkPanel(*call.scale(), groups * (call.asymmetric() ? 2 : 1), n, "scale"));
  }
  auto need = [&](const fb::Ref *ref, int64_t numbers, const char *what, uint64_t bytes = 4) -> Result<void> {
    if (!ref || ref->size() / bytes >= static_cast<uint64_t>(numbers)) return {};
    return wrong("{}: needs {} numbers of {} bytes at the bounds, it has {} bytes", what, numbers, bytes,
                 ref->size());
  };
  if (call.a_bf16() && program.weights()->Get(call.w()->index())->dtype() != fb::DType::bf16)
    return wrong("a in bf16 with w of another type");
  LINNET_TRY(need(call.a(), (m - 1) * stride + k, "a", call.a_bf16() ? 2 : 4));
  LINNET_TRY(need(call.bias(), n, "bias"));
  LINNET_TRY(need(call.residual(), m * n, "residual"));
  return need(call.out(), m * n, "out");
}

// Programs may share a blob, but different blobs must not overlap.
Result<void> checkBlobRanges(const fb::Metadata &metadata, uint64_t blob_end) {
  std::vector<const fb::Blob *> blobs;
  for (const fb::Program *program : *metadata.programs()) {
    for (const fb::Weight *weight : *program->weights()) blobs.push_back(weight->blob());
    for (const fb::Code *code : *program->code()) blobs.push_back(code->blob());
    if (program->shaders())
      for (const fb::Shader *shader : *program->shaders()) blobs.push_back(shader->words());
  }
  if (metadata.tokenizer()) blobs.push_back(metadata.tokenizer());
  for (const fb::Blob *blob : blobs) {
    if (blob->offset() < format::kHeaderBytes || !within(blob->offset(), blob->size(), blob_end))
      return errorf("a blob at [{}, +{}) lies outside [{}, {})", blob->offset(), blob->size(),
                    format::kHeaderBytes, blob_end);
    if (blob->offset() % format::kAlignment) return errorf("a blob at {} is not aligned", blob->offset());
  }
  std::sort(blobs.begin(), blobs.end(), [](const fb::Blob *a, const fb::Blob *b) {
    return std::pair(a->offset(), a->size()) < std::pair(b->offset(), b->size());
  });
  for (size_t i = 1; i < blobs.size(); ++i) {
    const fb::Blob &a = *blobs[i - 1], &b = *blobs[i];
    bool same = a.offset() == b.offset() && a.size() == b.size();
    if (!same && a.offset() + a.size() > b.offset())
      return errorf("blobs at [{}, +{}) and [{}, +{}) overlap", a.offset(), a.size(), b.offset(), b.size());
  }
  return {};
}

} // namespace

Result<void> checkMetadata(const fb::Metadata &metadata, uint64_t blob_end) {
  LINNET_TRY(checkBlobRanges(metadata, blob_end));
  if (metadata.programs()->size() > kMaxPrograms) return errorf("{} programs", metadata.programs()->size());
  std::set<std::string_view> targets;
  for (const fb::Program *program : *metadata.programs()) {
    if (!targets.insert(program->target()->string_view()).second)
      return errorf("two programs for target '{}'", program->target()->string_view());
    LINNET_TRY(ProgramCheck(*program).check());
  }
  return {};
}

} // namespace linnet
