#include "compiler/graph_summary.h"

#include "compiler/graph_file.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/error.h"
#include "support/file.h"
#include "support/text.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <map>
#include <set>

using namespace mlir;

namespace linnet {
namespace {

/// A placeholder for the weights: each tensor has the shape that the graph gives it.
class AnyWeights : public WeightSource {
public:
  explicit AnyWeights(ModuleOp module) {
    module.walk([&](ir::ParamOp param) {
      llvm::ArrayRef<int64_t> shape = param.getType().getShape();
      shapes.try_emplace(param.getName().str(), shape.begin(), shape.end());
    });
  }
  Result<WeightTensor> open(std::string_view name) override {
    auto found = shapes.find(name);
    if (found == shapes.end()) return errorf("no parameter \"{}\"", name);
    WeightTensor tensor;
    tensor.shape = found->second;
    return tensor;
  }

private:
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes;
};

std::string elementName(Type element) {
  std::string name;
  llvm::raw_string_ostream(name) << element;
  return name;
}

/// "f32 [batch, 3]"
std::string typeText(Type type) {
  auto tensor = llvm::cast<RankedTensorType>(type);
  std::vector<std::string> dims;
  for (const ir::Dim &dim : ir::shapeOf(tensor))
    dims.push_back(dim.name ? dim.name.str() : std::to_string(dim.size));
  return fmt::format("{} [{}]", elementName(tensor.getElementType()), fmt::join(dims, ", "));
}

class Summarizer {
public:
  explicit Summarizer(ModuleOp module) : module(module) {}

  GraphSummary run() {
    module.walk([&](ir::ParamOp param) { addParam(param); });
    for (auto function : module.getOps<func::FuncOp>())
      if (ir::isEntry(function)) summary.entries.push_back(entryOf(function));
    llvm::raw_string_ostream(summary.module) << module;
    return std::move(summary);
  }

private:
  /// Adds a param, unless a private function computes it.
  void addParam(ir::ParamOp param) {
    std::string name = param.getName().str();
    if (module.lookupSymbol<func::FuncOp>(name) || !params.insert(name).second) return;
    RankedTensorType type = param.getType();
    auto elements = static_cast<uint64_t>(type.getNumElements());
    uint64_t bytes = elements * static_cast<uint64_t>(ir::elementBytes(type.getElementType()));
    summary.params.push_back(
        {name, elementName(type.getElementType()), {type.getShape().begin(), type.getShape().end()}, bytes});
    summary.parameters += elements;
    summary.bytes += bytes;
  }

  GraphEntry entryOf(func::FuncOp function) {
    GraphEntry entry;
    entry.name = function.getName().str();
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      Type type = function.getArgumentTypes()[i];
      std::string state = ir::argState(function, i).str();
      if (state.empty())
        entry.inputs.push_back({ir::argName(function, i).str(), typeText(type)});
      else
        entry.states.push_back({state, typeText(type)});
      addBounds(function, type, entry);
    }
    for (unsigned i = 0; i < function.getNumResults(); ++i) {
      Type type = function.getResultTypes()[i];
      if (ir::resultState(function, i).empty())
        entry.outputs.push_back({ir::resultName(function, i).str(), typeText(type)});
      addBounds(function, type, entry);
    }
    countOps(function, entry);
    return entry;
  }

  void addBounds(func::FuncOp function, Type type, GraphEntry &entry) {
    for (StringAttr name : ir::dimsOf(llvm::cast<RankedTensorType>(type))) {
      auto known = [&](const auto &bound) { return bound.first == name.str(); };
      if (std::any_of(entry.bounds.begin(), entry.bounds.end(), known)) continue;
      if (auto bound = ir::boundOf(function, name)) entry.bounds.emplace_back(name.str(), *bound);
    }
  }

  /// Counts the ops of an entry by kind, the most frequent first.
  static void countOps(func::FuncOp function, GraphEntry &entry) {
    std::map<std::string, uint64_t> counts;
    for (Operation &op : function.getBody().front())
      if (!llvm::isa<func::ReturnOp>(op)) counts[op.getName().stripDialect().str()] += 1;
    entry.ops.assign(counts.begin(), counts.end());
    std::stable_sort(entry.ops.begin(), entry.ops.end(),
                     [](const auto &a, const auto &b) { return a.second > b.second; });
  }

  ModuleOp module;
  GraphSummary summary;
  std::set<std::string> params;
};

} // namespace

Result<GraphSummary> inspectGraph(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  LINNET_ASSIGN(std::string_view text, withoutByteOrderMark(file.text(), path));
  MLIRContext context;
  context.loadDialect<ir::LinnetDialect, func::FuncDialect>();
  LINNET_ASSIGN(OwningOpRef<ModuleOp> module, parseGraph(context, text, path));
  AnyWeights weights(*module);
  if (auto checked = checkGraph(*module, weights); !checked) return checked.error();
  return Summarizer(*module).run();
}

} // namespace linnet
