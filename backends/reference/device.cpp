#include "backends/reference/device.h"
#include "backends/reference/interpreter.h"
#include "backends/reference/ops.h"
#include "ir/Linnet.h"
#include "ir/Locations.h"
#include "ir/Shapes.h"
#include "runtime/expr.h"
#include "runtime/profiling.h"
#include "runtime/run_check.h"
#include "runtime/state_rows.h"
#include "support/error.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace linnet::reference {
namespace {

Kind kindOf(fb::DType type) {
  switch (type) {
  case fb::DType::f16:
    return Kind::f16;
  case fb::DType::bf16:
    return Kind::bf16;
  case fb::DType::i32:
    return Kind::i32;
  case fb::DType::i8:
    return Kind::i8;
  default:
    return Kind::f32;
  }
}

std::vector<int64_t> shapeOf(const fb::Port &port, std::span<const int64_t> symbols) {
  std::vector<int64_t> shape;
  for (const fb::Expr *dim : *port.shape()) shape.push_back(linnet::evaluate(dim, symbols));
  return shape;
}

/// Reads a weight, which is stored row-major as f32 or i32.
Result<Tensor> weightTensor(const Artifact &artifact, const fb::Weight &weight) {
  std::string name = weight.name()->str();
  Kind kind = kindOf(weight.dtype());
  if (weight.layout()->size() || (kind != Kind::f32 && kind != Kind::i32))
    return errorf("weight \"{}\": the reference device reads row-major f32 and i32 only", name);
  Tensor tensor = Tensor::zeros(kind, {weight.shape()->begin(), weight.shape()->end()});
  auto bytes = artifact.blob(*weight.blob());
  if (bytes.size() < static_cast<size_t>(tensor.size()) * 4)
    return errorf("weight \"{}\" is too short", name);
  std::memcpy(kind == Kind::f32 ? static_cast<void *>(tensor.data()) : tensor.ints(), bytes.data(),
              static_cast<size_t>(tensor.size()) * 4);
  return tensor;
}

/// A state with storage for its largest size. A call uses the first elements as a dense tensor of its own shape.
struct State {
  std::string name;
  Tensor storage;
};

class ReferenceExecutable : public Executable {
public:
  ReferenceExecutable(const Artifact &artifact, const fb::Program &program, bool checks)
      : artifact(artifact), program(program), checks(checks) {}

  Result<void> load() {
    context.getOrLoadDialect<ir::LinnetDialect>();
    context.getOrLoadDialect<mlir::func::FuncDialect>();
    std::string message;
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      if (message.empty()) message = diagnostic.str();
      return mlir::success();
    });
    module = mlir::parseSourceString<mlir::ModuleOp>(program.module_()->string_view(), &context);
    if (!module)
      return errorf("{}: the reference program's module does not parse: {}", artifact.path(), message);
    for (const fb::Weight *weight : *program.weights()) {
      LINNET_ASSIGN(Tensor tensor, weightTensor(artifact, *weight));
      weights.emplace(weight->name()->str(), std::move(tensor));
    }
    for (const fb::State *state : *program.states()) {
      const Kind kind = kindOf(state->dtype());
      if (kind != Kind::f32 && kind != Kind::f16 && kind != Kind::bf16)
        return errorf("state \"{}\": expected f32, f16 or bf16", state->name()->str());
      const auto elements = static_cast<int64_t>(state->bytes() / elementBytes(state->dtype()));
      states.push_back({state->name()->str(), Tensor::zeros(kind, {elements})});
    }
    return {};
  }

  Result<void> run(int entry, std::span<const int64_t> symbols,
                   std::span<const std::span<const std::byte>> inputs,
                   const std::vector<bool> &wanted) override {
    LINNET_TRY(checkRun(artifact, program, entry, symbols, inputs, wanted));
    const fb::Entry &e = *program.entries()->Get(static_cast<unsigned>(entry));
    Named named;
    for (unsigned i = 0; i < e.inputs()->size(); ++i) {
      const fb::Port &port = *e.inputs()->Get(i);
      Tensor tensor = Tensor::zeros(kindOf(port.dtype()), shapeOf(port, symbols));
      if (elementBytes(port.dtype()) != 4)
        return errorf("input \"{}\": expected f32 or i32", port.name()->str());
      std::memcpy(tensor.isFloat() ? static_cast<void *>(tensor.data()) : tensor.ints(), inputs[i].data(),
                  inputs[i].size());
      named[port.name()->str()] = std::move(tensor);
    }
    if (first_row) LINNET_TRY(checkRows(program, first_row, symbols));
    Named current = slicedStates(symbols);
    RunOptions options;
    std::vector<OpTime> times;
    int64_t begin = profiler ? profileNow() : 0;
    std::string not_finite;
    if (profiler || checks)
      options.observer = [&, before = begin](mlir::Operation *op, std::span<const Tensor> results) mutable {
        if (checks && not_finite.empty()) not_finite = firstNotFinite(op, results);
        int64_t now = profileNow();
        if (profiler && !llvm::isa<ir::ParamOp, ir::ConstantOp>(op)) times.push_back({op, before, now});
        before = profileNow();
      };
    auto provider = [this](std::string_view name) -> Result<Tensor> {
      auto found = weights.find(name);
      if (found == weights.end()) return errorf("no weight \"{}\" in {}", name, artifact.path());
      return found->second;
    };
    LINNET_ASSIGN(Named results,
                  reference::run(*module, e.name()->string_view(), named, current, provider, options));
    if (!not_finite.empty()) return Error{not_finite};
    if (profiler) report(e, symbols, times, begin);
    for (size_t i = 0; i < states.size(); ++i)
      if (auto found = current.find(states[i].name); found != current.end())
        std::copy(found->second.floats->begin(), found->second.floats->end(),
                  states[i].storage.data() + firstElement(i));
    outputs.clear();
    for (const fb::Port *port : *e.outputs()) outputs.push_back(results[port->name()->str()]);
    return {};
  }

  Result<std::span<const std::byte>> output(int i) override {
    if (i < 0 || static_cast<size_t>(i) >= outputs.size()) return errorf("no output {}", i);
    const Tensor &tensor = outputs[static_cast<size_t>(i)];
    if (tensor.isFloat()) return std::as_bytes(std::span<const float>(*tensor.floats));
    return std::as_bytes(std::span<const int32_t>(*tensor.integers));
  }
  void resetStates() override {
    for (State &state : states) std::fill(state.storage.floats->begin(), state.storage.floats->end(), 0.0f);
  }
  Result<void> readState(std::string_view name, std::span<std::byte> to) override {
    LINNET_ASSIGN(uint32_t i, findState(program, name, to.size()));
    LINNET_TRY(isCopied(i));
    std::memcpy(to.data(), states[i].storage.data(), to.size());
    return {};
  }
  Result<void> writeState(std::string_view name, std::span<const std::byte> from) override {
    LINNET_ASSIGN(uint32_t i, findState(program, name, from.size()));
    LINNET_TRY(isCopied(i));
    std::memcpy(states[i].storage.data(), from.data(), from.size());
    return {};
  }
  MemoryUse memory() const override {
    MemoryUse use;
    for (auto &[name, tensor] : weights) use.weights += 4 * static_cast<uint64_t>(tensor.size());
    for (const State &state : states) use.states += 4 * static_cast<uint64_t>(state.storage.size());
    return use;
  }
  void setProfiler(std::shared_ptr<Profiler> p) override { profiler = std::move(p); }
  Result<void> selectRows(int64_t first) override {
    LINNET_TRY(checkRow(program, first));
    if (first) LINNET_TRY(needRows());
    first_row = first;
    return {};
  }
  Result<void> copyRow(int64_t from, int64_t to, int64_t tokens) override {
    LINNET_TRY(checkCopy(program, from, to, tokens));
    LINNET_TRY(needRows());
    for (size_t i = 0; i < states.size(); ++i) {
      float *data = states[i].storage.data();
      forEachRun(state_rows[i], from, to, tokens, [&](uint64_t source, uint64_t target, uint64_t bytes) {
        const uint64_t element = elementOf(i);
        std::copy_n(data + source / element, bytes / element, data + target / element);
      });
    }
    return {};
  }
  /// The storage's floats, for states of every type.
  Result<std::vector<std::byte>> readRow(int64_t row, int64_t tokens) override {
    LINNET_TRY(checkRead(program, row, tokens));
    LINNET_TRY(needRows());
    std::vector<float> values;
    for (size_t i = 0; i < states.size(); ++i)
      forEachRun(state_rows[i], row, row, tokens, [&](uint64_t at, uint64_t, uint64_t bytes) {
        const float *from = states[i].storage.data() + at / elementOf(i);
        values.insert(values.end(), from, from + bytes / elementOf(i));
      });
    const auto bytes = std::as_bytes(std::span(values));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }
  Result<void> writeRow(int64_t row, int64_t tokens, std::span<const std::byte> bytes) override {
    LINNET_TRY(needRows());
    uint64_t expected = 0;
    for (size_t i = 0; i < states.size(); ++i)
      expected += partBytes(std::span(state_rows).subspan(i, 1), tokens) / elementOf(i) * sizeof(float);
    LINNET_TRY(checkWrite(program, row, tokens, expected, bytes.size()));
    const std::byte *from = bytes.data();
    for (size_t i = 0; i < states.size(); ++i)
      forEachRun(state_rows[i], row, row, tokens, [&](uint64_t at, uint64_t, uint64_t count) {
        const uint64_t elements = count / elementOf(i);
        std::memcpy(states[i].storage.data() + at / elementOf(i), from, elements * sizeof(float));
        from += elements * sizeof(float);
      });
    return {};
  }

private:
  Result<void> needRows() {
    if (state_rows.empty()) {
      LINNET_ASSIGN(state_rows, stateRows(artifact, program));
    }
    return {};
  }
  /// Bytes of an element of state i in the program, not in the storage.
  uint64_t elementOf(size_t i) const {
    return elementBytes(program.states()->Get(static_cast<unsigned>(i))->dtype());
  }
  /// The index of the first selected row's first element in the storage of state i.
  size_t firstElement(size_t i) const {
    if (first_row == 0) return 0;
    return static_cast<size_t>(first_row) * state_rows[i].row_bytes / elementOf(i);
  }
  Result<void> isCopied(uint32_t i) const {
    if (states[i].storage.kind == Kind::f32) return {};
    return errorf("state \"{}\": the interpreter copies states of f32 only", states[i].name);
  }
  struct OpTime {
    mlir::Operation *op;
    int64_t begin, end;
  };

  /// Returns for example "linnet.softmax at blocks.3.attn: element 17 of 64 is nan". Empty if all elements are finite.
  static std::string firstNotFinite(mlir::Operation *op, std::span<const Tensor> results) {
    for (size_t i = 0; i < results.size(); ++i) {
      if (!results[i].isFloat()) continue;
      std::span<const float> values(*results[i].floats);
      auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
      if (bad != values.end())
        return fmt::format("{} at {}: element {} of {} is {}", op->getName().getStringRef().str(),
                           ir::locationName(op->getLoc()), bad - values.begin(), values.size(), *bad);
    }
    return {};
  }

  /// Reports the ops that compute as commands, without costs.
  void report(const fb::Entry &entry, std::span<const int64_t> symbols, std::span<const OpTime> times,
              int64_t begin) {
    RunTiming run{entry.name()->string_view(), profileDims(program, symbols), begin, profileNow(), {}};
    std::vector<std::string> locations;
    for (const OpTime &time : times) locations.push_back(ir::locationName(time.op->getLoc()));
    std::vector<CommandTiming> timings;
    for (size_t i = 0; i < times.size(); ++i) {
      llvm::StringRef op = times[i].op->getName().stripDialect();
      timings.push_back({{op.data(), op.size()}, locations[i], "interpreter", times[i].begin, times[i].end});
    }
    run.commands = timings;
    profiler->add(run);
  }

  Named slicedStates(std::span<const int64_t> symbols) {
    Named current;
    for (unsigned i = 0; i < states.size(); ++i) {
      std::vector<int64_t> shape;
      for (const fb::Expr *dim : *program.states()->Get(i)->shape())
        shape.push_back(linnet::evaluate(dim, symbols));
      Tensor tensor = Tensor::zeros(states[i].storage.kind, shape);
      std::copy_n(states[i].storage.data() + firstElement(i), tensor.size(), tensor.data());
      current[states[i].name] = std::move(tensor);
    }
    return current;
  }

  const Artifact &artifact;
  const fb::Program &program;
  const bool checks;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::map<std::string, Tensor, std::less<>> weights;
  std::vector<State> states;
  std::vector<StateRows> state_rows; ///< filled by needRows()
  int64_t first_row = 0;
  std::vector<Tensor> outputs;
  std::shared_ptr<Profiler> profiler;
};

class ReferenceDevice : public Device {
public:
  explicit ReferenceDevice(bool checks) : checks(checks) {}
  std::string description(const DeviceOptions &) const override {
    return "reference: the interpreter (slow, exact)";
  }
  DeviceKind kind() const override { return DeviceKind::Processor; }
  Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                           const DeviceOptions &) override {
    auto executable = std::make_unique<ReferenceExecutable>(artifact, program, checks);
    LINNET_TRY(executable->load());
    return std::unique_ptr<Executable>(std::move(executable));
  }

private:
  bool checks;
};

} // namespace

std::unique_ptr<Device> makeDevice(bool checks) { return std::make_unique<ReferenceDevice>(checks); }

} // namespace linnet::reference
