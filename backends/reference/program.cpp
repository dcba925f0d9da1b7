#include "backends/reference/program.h"

#include "backends/common/element_type.h"
#include "backends/common/pack.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;

namespace linnet::reference {
namespace {
using namespace ir;

constexpr uint64_t kAlignment = 64;
constexpr int64_t kChunkElements = 1 << 18;

class Builder {
public:
  Builder(ModuleOp module, WeightSource &weights, BlobSink &blobs)
      : module(module), weights(weights), blobs(blobs) {}

  Result<fb::ProgramT> run() {
    program.target = "reference";
    for (auto function : module.getOps<func::FuncOp>())
      if (isEntry(function)) gatherSymbols(function);
    for (auto function : module.getOps<func::FuncOp>())
      if (isEntry(function)) LINNET_TRY(addEntry(function));
    for (const auto &state : program.states) program.state_bytes += llvm::alignTo(state->bytes, kAlignment);
    // By now the results of weight functions are stored as weights.
    OwningOpRef<ModuleOp> stored_module(module.clone());
    for (auto function : llvm::make_early_inc_range(stored_module->getOps<func::FuncOp>()))
      if (function->hasAttr("linnet.weight")) function.erase();
    llvm::raw_string_ostream out(program.module_);
    (*stored_module)->print(out, OpPrintingFlags().enableDebugInfo(true).useLocalScope());
    return std::move(program);
  }

private:
  void gatherSymbols(func::FuncOp function) {
    auto add = [&](Type type) {
      for (StringAttr name : dimsOf(llvm::cast<RankedTensorType>(type)))
        if (symbols.try_emplace(name.str(), uint8_t(symbols.size())).second)
          program.symbols.push_back(name.str());
    };
    for (Type type : function.getArgumentTypes()) add(type);
    for (Operation &op : function.getBody().front())
      for (Type type : op.getResultTypes()) add(type);
  }

  std::vector<std::unique_ptr<fb::ExprT>> shapeExpressions(RankedTensorType type) {
    std::vector<std::unique_ptr<fb::ExprT>> shape;
    for (const Dim &dim : shapeOf(type)) {
      auto term = std::make_unique<fb::TermT>();
      term->coefficient = dim.name ? 1 : dim.size;
      if (dim.name) term->symbols = {symbols.at(dim.name.str())};
      shape.push_back(std::make_unique<fb::ExprT>());
      shape.back()->terms.push_back(std::move(term));
    }
    return shape;
  }

  Result<uint64_t> bytesOf(func::FuncOp function, RankedTensorType type) {
    if (auto bytes = maxBytes(type, function)) return uint64_t(*bytes);
    return errorf("@{}: the size of {} is unknown: linnet.bounds lacks a dimension", function.getName().str(),
                  describe(type));
  }

  Result<void> addEntry(func::FuncOp function) {
    auto entry = std::make_unique<fb::EntryT>();
    entry->name = function.getName().str();
    for (const std::string &symbol : program.symbols)
      entry->bounds.push_back(boundOf(function, symbol).value_or(1));
    auto port = [&](std::vector<std::unique_ptr<fb::PortT>> &ports, Type type, StringRef name,
                    StringRef state) -> Result<void> {
      auto tensor = llvm::cast<RankedTensorType>(type);
      LINNET_ASSIGN(uint64_t bytes, bytesOf(function, tensor));
      if (!state.empty()) return addState(state, tensor, bytes);
      auto made = std::make_unique<fb::PortT>();
      made->name = name.str();
      LINNET_ASSIGN(made->dtype, backend::dtypeOf(tensor.getElementType(), name.str()));
      made->shape = shapeExpressions(tensor);
      made->offset = entry->io_bytes;
      made->bytes = bytes;
      entry->io_bytes = llvm::alignTo(entry->io_bytes + bytes, kAlignment);
      ports.push_back(std::move(made));
      return {};
    };
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      LINNET_TRY(
          port(entry->inputs, function.getArgumentTypes()[i], argName(function, i), argState(function, i)));
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      LINNET_TRY(port(entry->outputs, function.getResultTypes()[i], resultName(function, i),
                      resultState(function, i)));
    program.entries.push_back(std::move(entry));
    for (auto param : function.getOps<ParamOp>()) LINNET_TRY(addWeight(param));
    return {};
  }

  Result<void> addState(StringRef name, RankedTensorType type, uint64_t bytes) {
    for (const auto &state : program.states)
      if (state->name == name.str()) return {};
    auto made = std::make_unique<fb::StateT>();
    made->name = name.str();
    LINNET_ASSIGN(made->dtype, backend::dtypeOf(type.getElementType(), "state " + name.str()));
    made->shape = shapeExpressions(type);
    made->bytes = bytes;
    program.states.push_back(std::move(made));
    return {};
  }

  Result<void> addWeight(ParamOp param) {
    std::string name = param.getName().str();
    auto type = param.getType();
    if (auto [found, fresh] = stored.try_emplace(name, type.getElementType()); !fresh)
      return found->second == type.getElementType()
                 ? Result<void>()
                 : errorf("weight '{}': target reference stores it in one element type, two are asked for",
                          name);
    Type element = type.getElementType();
    if (!element.isF32() && !element.isF16() && !element.isBF16() && !element.isInteger(8) &&
        !element.isInteger(4))
      return errorf("weight '{}': target reference stores weights as f32, f16, bf16, i8 or i4", name);
    LINNET_ASSIGN(WeightTensor tensor, weights.open(name));
    auto made = std::make_unique<fb::WeightT>();
    made->name = name;
    made->dtype = fb::DType::f32;
    made->shape.assign(type.getShape().begin(), type.getShape().end());
    LINNET_ASSIGN(fb::BlobT blob, stream(tensor, type.getNumElements(), element));
    made->blob = std::make_unique<fb::BlobT>(blob);
    program.weights.push_back(std::move(made));
    return {};
  }

  /// Writes a tensor as f32, the type that the interpreter computes with. Values are first rounded to `element`.
  Result<fb::BlobT> stream(const WeightTensor &tensor, int64_t elements, Type element) {
    PackedType type = element.isF16()    ? PackedType::f16
                      : element.isBF16() ? PackedType::bf16
                                         : PackedType::f32;
    std::vector<float> chunk;
    std::vector<std::byte> bytes;
    LINNET_TRY(blobs.begin());
    for (int64_t at = 0; at < elements; at += kChunkElements) {
      chunk.resize(std::min(kChunkElements, elements - at));
      LINNET_TRY(tensor.read(at, chunk));
      bytes.resize(linnet::bytesOf(type, static_cast<int64_t>(chunk.size())));
      convert(chunk, type, bytes.data());
      convertBack(type, bytes.data(), chunk);
      LINNET_TRY(blobs.append(std::as_bytes(std::span(chunk))));
    }
    return blobs.end();
  }

  ModuleOp module;
  WeightSource &weights;
  BlobSink &blobs;
  fb::ProgramT program;
  std::map<std::string, uint8_t> symbols;
  std::map<std::string, Type> stored;
};

} // namespace

Result<fb::ProgramT> makeReferenceProgram(ModuleOp module, WeightSource &weights, BlobSink &blobs) {
  return Builder(module, weights, blobs).run();
}

} // namespace linnet::reference
