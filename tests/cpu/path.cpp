#include "tests/cpu/path.h"

#include "ir/Shapes.h"
#include "runtime/artifact_writer.h"
#include "support/error.h"
#include "tests/catch.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <unistd.h>

namespace linnet::cpu::testing {
namespace {

using reference::Kind;
using reference::Named;
using reference::Tensor;

fb::DType dtypeOf(Kind kind) { return fb::DType(uint8_t(kind)); }

class ProvidedWeights : public WeightSource {
public:
  explicit ProvidedWeights(const reference::WeightProvider &provider) : provider(provider) {}
  Result<WeightTensor> open(std::string_view name) override {
    LINNET_ASSIGN(const Tensor tensor, provider(name));
    WeightTensor weight;
    weight.dtype = dtypeOf(tensor.kind);
    weight.shape = tensor.shape;
    weight.read = [floats = tensor.floats](int64_t first, std::span<float> out) -> Result<void> {
      if (first < 0 || first + out.size() > floats->size()) return Error{"read beyond the end"};
      std::memcpy(out.data(), floats->data() + first, out.size_bytes());
      return {};
    };
    return weight;
  }

private:
  const reference::WeightProvider &provider;
};

/// Elements as the artifact's types store them, and back.
std::vector<std::byte> toBytes(const Tensor &tensor) {
  const size_t n = size_t(tensor.size()), width = elementBytes(dtypeOf(tensor.kind));
  std::vector<std::byte> bytes(n * width);
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits = 0;
    if (tensor.kind == Kind::f32)
      bits = std::bit_cast<uint32_t>(tensor.data()[i]);
    else if (tensor.kind == Kind::bf16)
      bits = std::bit_cast<uint32_t>(tensor.data()[i]) >> 16;
    else if (tensor.kind == Kind::f16)
      bits = std::bit_cast<uint16_t>(_Float16(tensor.data()[i]));
    else
      bits = uint32_t(tensor.ints()[i]);
    std::memcpy(bytes.data() + i * width, &bits, width);
  }
  return bytes;
}

Tensor fromBytes(Kind kind, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  Tensor tensor = Tensor::zeros(kind, std::move(shape));
  const size_t width = elementBytes(dtypeOf(kind));
  for (size_t i = 0; i < size_t(tensor.size()); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * width, width);
    if (kind == Kind::f32)
      tensor.data()[i] = std::bit_cast<float>(bits);
    else if (kind == Kind::bf16)
      tensor.data()[i] = std::bit_cast<float>(bits << 16);
    else if (kind == Kind::f16)
      tensor.data()[i] = float(std::bit_cast<_Float16>(uint16_t(bits)));
    else
      tensor.ints()[i] = kind == Kind::i8 ? int8_t(bits) : int32_t(bits);
  }
  return tensor;
}

/// A dimension is a number or one symbol.
int64_t dimension(const fb::Expr &expression, std::span<const int64_t> symbols) {
  int64_t value = 0;
  for (const fb::Term *term : *expression.terms()) {
    int64_t product = term->coefficient();
    for (uint8_t symbol : *term->symbols()) product *= symbols[symbol];
    value += product;
  }
  return value;
}

std::string temporaryPath() {
  static int number = 0;
  return fmt::format("/tmp/linnet-cpu-test-{}-{}.linnet", getpid(), number++);
}

} // namespace

Result<CompiledModule> CompiledModule::compile(mlir::ModuleOp module,
                                               const reference::WeightProvider &weights,
                                               const CpuOptions &options, const PipelineSpec &pipeline,
                                               int threads) {
  registerPasses();
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  LINNET_TRY(buildPipeline(manager, pipeline));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  const std::string path = temporaryPath();
  LINNET_ASSIGN(ArtifactWriter writer, ArtifactWriter::create(path));
  SinkFor sink(writer);
  ProvidedWeights source(weights);
  LINNET_ASSIGN(fb::ProgramT program, lowerToCpu(*planned, source, sink, options));
  fb::MetadataT metadata;
  metadata.producer = "test", metadata.programs.push_back(std::make_unique<fb::ProgramT>(std::move(program)));
  LINNET_TRY(writer.finish(metadata));
  CompiledModule compiled;
  LINNET_ASSIGN(Artifact artifact, Artifact::open(path));
  unlink(path.c_str());
  compiled.artifact = std::make_shared<Artifact>(std::move(artifact));
  LINNET_ASSIGN(compiled.found, compiled.artifact->requireProgram("cpu"));
  LINNET_ASSIGN(std::unique_ptr<Device> device, openDevice("cpu"));
  compiled.device = std::move(device);
  LINNET_ASSIGN(std::unique_ptr<Executable> executable,
                compiled.device->load(*compiled.artifact, *compiled.found, {threads}));
  compiled.executable = std::move(executable);
  return compiled;
}

Result<Named> CompiledModule::run(std::string_view name, const Named &inputs) {
  int number = -1;
  for (uint32_t i = 0; i < found->entries()->size(); ++i)
    if (found->entries()->Get(i)->name()->string_view() == name) number = int(i);
  if (number < 0) return errorf("no entry {}", name);
  const fb::Entry &entry = *found->entries()->Get(number);
  std::vector<int64_t> symbols(entry.bounds()->begin(), entry.bounds()->end());
  std::vector<std::vector<std::byte>> data;
  for (const fb::Port *port : *entry.inputs()) {
    auto given = inputs.find(port->name()->string_view());
    if (given == inputs.end()) return errorf("no input {}", port->name()->string_view());
    for (uint32_t d = 0; d < port->shape()->size(); ++d)
      for (const fb::Term *term : *port->shape()->Get(d)->terms())
        for (uint8_t symbol : *term->symbols()) symbols[symbol] = given->second.shape[d];
    data.push_back(toBytes(given->second));
  }
  std::vector<std::span<const std::byte>> spans(data.begin(), data.end());
  LINNET_TRY(executable->run(number, symbols, spans, {}));
  Named outputs;
  for (uint32_t i = 0; i < entry.outputs()->size(); ++i) {
    const fb::Port &port = *entry.outputs()->Get(i);
    std::vector<int64_t> shape;
    for (const fb::Expr *dim : *port.shape()) shape.push_back(dimension(*dim, symbols));
    LINNET_ASSIGN(const std::span<const std::byte> bytes, executable->output(int(i)));
    outputs.emplace(port.name()->str(), fromBytes(Kind(uint8_t(port.dtype())), shape, bytes));
  }
  return outputs;
}

namespace {

Kind kindOf(mlir::Type type) {
  if (type.isF16()) return Kind::f16;
  if (type.isBF16()) return Kind::bf16;
  if (type.isInteger(32)) return Kind::i32;
  if (type.isInteger(8)) return Kind::i8;
  return Kind::f32;
}

Tensor draw(mlir::RankedTensorType type, const Agreement &agreement, const std::string &name,
            std::minstd_rand &random) {
  std::vector<int64_t> shape;
  for (const ir::Dim &dim : ir::shapeOf(type))
    shape.push_back(dim.name ? agreement.dims.at(dim.name.str()) : dim.size);
  Tensor tensor = Tensor::zeros(kindOf(type.getElementType()), shape);
  std::uniform_real_distribution<float> uniform(-1, 1);
  auto limit = agreement.integers.find(name);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.isFloat())
      tensor.data()[i] = reference::rounded(tensor.kind, uniform(random));
    else
      tensor.ints()[i] = int32_t(random() % (limit == agreement.integers.end() ? 3 : limit->second));
  }
  return tensor;
}

void compare(const std::string &name, const Tensor &found, const Tensor &expected, double tolerance) {
  INFO(name);
  REQUIRE(found.shape == expected.shape);
  REQUIRE(found.kind == expected.kind);
  double largest = 1e-30, worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!expected.isFloat()) {
      CHECK(found.ints()[i] == expected.ints()[i]);
      continue;
    }
    const double x = found.data()[i], y = expected.data()[i];
    if (std::isfinite(y)) largest = std::max(largest, std::abs(y));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    worst = std::max(worst, std::isfinite(x - y) ? std::abs(x - y) : HUGE_VAL);
  }
  CHECK(worst <= tolerance * largest);
}

/// One module, its weights, and the interpreter's answers.
struct Comparison {
  const Agreement &agreement;
  mlir::ModuleOp module;
  mlir::func::FuncOp function;
  std::minstd_rand random{1234};
  std::map<std::string, Tensor> params = {};
  reference::WeightProvider weights = [this](std::string_view name) -> Result<Tensor> {
    auto found = params.find(std::string(name));
    if (found == params.end()) return errorf("no weight {}", name);
    return found->second;
  };

  void drawParams() {
    module.walk([&](ir::ParamOp param) {
      auto type = llvm::cast<mlir::RankedTensorType>(param.getType());
      params.emplace(param.getName().str(), draw(type, agreement, param.getName().str(), random));
    });
  }

  Named drawInputs() {
    Named inputs;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      if (!ir::argState(function, i).empty()) continue;
      const std::string name = ir::argName(function, i).str();
      const auto type = llvm::cast<mlir::RankedTensorType>(function.getArgumentTypes()[i]);
      inputs.emplace(name, draw(type, agreement, name, random));
    }
    return inputs;
  }

  void check(const std::string &isa, const PipelineSpec &pipeline) {
    INFO(isa);
    auto compiled = CompiledModule::compile(module, weights, {.isas = isa}, pipeline);
    if (!compiled) FAIL(compiled.error().message);
    Named states;
    for (int repeat = 0; repeat < agreement.repeats; ++repeat) {
      const Named inputs = drawInputs();
      auto expected = reference::run(module, agreement.entry, inputs, states, weights);
      if (!expected) FAIL(expected.error().message);
      auto found = compiled->run(agreement.entry, inputs);
      if (!found) FAIL(found.error().message);
      for (const auto &[name, tensor] : *expected) {
        REQUIRE(found->count(name) == 1);
        compare(name, found->at(name), tensor, agreement.tolerance);
      }
    }
  }
};

} // namespace

void checkAgreement(const Agreement &agreement, const PipelineSpec &pipeline) {
  INFO(agreement.text);
  mlir::MLIRContext context;
  context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(agreement.text, &context);
  REQUIRE(module);
  auto function = module->lookupSymbol<mlir::func::FuncOp>(agreement.entry);
  REQUIRE(function);
  Comparison comparison{agreement, *module, function};
  comparison.drawParams();
  const auto levels = selectIsas("");
  REQUIRE(levels.ok());
  for (const Isa &isa : *levels)
    if (hostRuns(isa)) comparison.check(isa.name, pipeline);
}

} // namespace linnet::cpu::testing
