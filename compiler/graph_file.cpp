#include "compiler/graph_file.h"

#include "compiler/diagnostics.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <map>
#include <set>

using namespace mlir;

namespace linnet {
namespace {

constexpr size_t kLargestFile = size_t(256) << 20;
constexpr int kDeepest = 200;

/// Checks the nesting of brackets outside strings and comments. `->` is no bracket; the dialect has no
/// comparisons.
Result<void> checkNesting(std::string_view text, const std::string &path) {
  int depth = 0, line = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\n') ++line;
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i) i += text[i] == '\\';
      if (i < text.size() && text[i] == '\n') ++line;
    } else if (c == '/' && i + 1 < text.size() && text[i + 1] == '/') {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == '(' || c == '[' || c == '{' || c == '<') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}' || (c == '>' && !(i && text[i - 1] == '-'))) {
      --depth;
    }
    if (depth > kDeepest) return errorf("{}:{}: brackets are nested deeper than {}", path, line, kDeepest);
  }
  return {};
}

void nameArguments(func::FuncOp function) {
  Builder builder(function.getContext());
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (ir::argName(function, i).empty() && ir::argState(function, i).empty())
      function.setArgAttr(i, "linnet.name", builder.getStringAttr(fmt::format("arg{}", i)));
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (ir::resultName(function, i).empty() && ir::resultState(function, i).empty())
      function.setResultAttr(i, "linnet.name", builder.getStringAttr(fmt::format("result{}", i)));
}

/// "graph.mlir:3:7: " or "@main: "
std::string where(Operation *op) {
  std::string place = locationText(op->getLoc());
  if (place.empty())
    if (auto function = llvm::dyn_cast<func::FuncOp>(op)) place = "@" + function.getName().str();
  return place.empty() ? "" : place + ": ";
}

class GraphChecker {
public:
  GraphChecker(ModuleOp module, WeightSource &weights) : module(module), weights(weights) {}

  Result<void> run() {
    bool any = false;
    for (Operation &op : *module.getBody()) {
      auto function = llvm::dyn_cast<func::FuncOp>(op);
      if (!function) return errorf("{}'{}' is not expected here, only func.func is", where(&op), nameOf(&op));
      if (function->hasAttr("linnet.weight")) LINNET_TRY(checkWeightFunction(function));
      if (!ir::isEntry(function)) continue;
      any = true;
      LINNET_TRY(checkEntry(function));
    }
    if (!any) return errorf("{}the graph has no public function with a body", where(module));
    return {};
  }

private:
  static std::string nameOf(Operation *op) { return op->getName().getStringRef().str(); }

  Result<void> checkEntry(func::FuncOp function) {
    if (!function.getBody().hasOneBlock())
      return errorf("{}@{}: an entry has one block", where(function), function.getName().str());
    LINNET_TRY(checkPorts(function));
    for (Operation &op : function.getBody().front()) {
      bool known = llvm::isa<func::ReturnOp>(op) || llvm::isa<ir::LinnetDialect>(op.getDialect());
      if (!known) return errorf("{}'{}' is not an op of the linnet dialect", where(&op), nameOf(&op));
      for (Value result : op.getResults()) LINNET_TRY(checkType(function, &op, result.getType()));
      if (auto param = llvm::dyn_cast<ir::ParamOp>(op)) LINNET_TRY(checkParam(param));
    }
    return {};
  }

  Result<void> checkPorts(func::FuncOp function) {
    std::set<std::string> arguments, results;
    std::map<std::string, Type> states;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      std::string state = ir::argState(function, i).str(), name = ir::argName(function, i).str();
      LINNET_TRY(checkType(function, function, function.getArgumentTypes()[i]));
      if (!arguments.insert(state.empty() ? "name " + name : "state " + state).second)
        return errorf("{}@{}: two arguments are called '{}'", where(function), function.getName().str(),
                      state.empty() ? name : state);
      if (state.empty()) continue;
      states[state] = function.getArgumentTypes()[i];
      LINNET_TRY(checkState(function, state, function.getArgumentTypes()[i]));
    }
    for (unsigned i = 0; i < function.getNumResults(); ++i) {
      std::string state = ir::resultState(function, i).str(), name = ir::resultName(function, i).str();
      LINNET_TRY(checkType(function, function, function.getResultTypes()[i]));
      if (!results.insert(state.empty() ? "name " + name : "state " + state).second)
        return errorf("{}@{}: two results are called '{}'", where(function), function.getName().str(),
                      state.empty() ? name : state);
      if (state.empty()) continue;
      auto found = states.find(state);
      if (found == states.end() || found->second != function.getResultTypes()[i])
        return errorf("{}@{}: result {} is the state '{}', which has no argument of the same type",
                      where(function), function.getName().str(), i, state);
    }
    return {};
  }

  /// Checks that all entries have the state with the same type at the same bounds, because they share its
  /// buffer.
  Result<void> checkState(func::FuncOp function, const std::string &state, Type type) {
    auto tensor = llvm::cast<RankedTensorType>(type);
    auto bytes = ir::maxBytes(tensor, function);
    auto [found, fresh] = seen.try_emplace(state, tensor, bytes.value_or(0));
    if (fresh || found->second == std::pair(tensor, bytes.value_or(0))) return {};
    return errorf("{}@{}: state '{}' is {} here ({} bytes), {} in another entry ({} bytes)", where(function),
                  function.getName().str(), state, ir::describe(tensor), bytes.value_or(0),
                  ir::describe(found->second.first), found->second.second);
  }

  Result<void> checkType(func::FuncOp function, Operation *at, Type type) {
    auto tensor = llvm::dyn_cast<RankedTensorType>(type);
    if (!tensor) return errorf("{}expected tensors, found another type", where(at));
    for (int64_t i = 0; i < tensor.getRank(); ++i) {
      StringAttr name = ir::dimName(tensor, i);
      if (tensor.isDynamicDim(i) && !name)
        return errorf("{}dimension {} of {} is dynamic and has no name (#linnet.dims<...>)", where(at), i,
                      ir::describe(tensor));
      if (name && !ir::boundOf(function, name))
        return errorf("{}linnet.bounds of @{} has no largest value for '{}'", where(at),
                      function.getName().str(), name.str());
    }
    if (auto bytes = ir::maxBytes(tensor, function); !bytes || *bytes > (int64_t(1) << 46))
      return errorf("{}{} is too large at its bounds", where(at), ir::describe(tensor));
    return {};
  }

  /// Checks that a weight function is private and has no arguments, one block of the dialect's ops, and one
  /// static tensor as its result.
  Result<void> checkWeightFunction(func::FuncOp function) {
    std::string name = function.getName().str();
    if (!function.isPrivate() || function.isExternal() || !function.getBody().hasOneBlock() ||
        function.getNumArguments() || function.getNumResults() != 1)
      return errorf(
          "{}@{}: a linnet.weight is a private function without arguments, of one block and one result",
          where(function), name);
    for (Operation &op : function.getBody().front()) {
      bool known = llvm::isa<func::ReturnOp>(op) || llvm::isa<ir::LinnetDialect>(op.getDialect());
      if (!known) return errorf("{}'{}' is not an op of the linnet dialect", where(&op), nameOf(&op));
      for (Value result : op.getResults()) {
        auto tensor = llvm::dyn_cast<RankedTensorType>(result.getType());
        if (!tensor || !tensor.hasStaticShape())
          return errorf("{}@{}: a weight is computed from static tensors", where(&op), name);
        LINNET_TRY(checkType(function, &op, tensor));
      }
      if (auto param = llvm::dyn_cast<ir::ParamOp>(op)) LINNET_TRY(checkParam(param));
    }
    return {};
  }

  Result<void> checkParam(ir::ParamOp param) {
    auto computed = module.lookupSymbol<func::FuncOp>(param.getName());
    if (computed && computed->hasAttr("linnet.weight")) {
      auto type = computed.getNumResults() == 1
                      ? llvm::dyn_cast<RankedTensorType>(computed.getResultTypes()[0])
                      : RankedTensorType();
      if (type && type.getShape() == param.getType().getShape() &&
          llvm::isa<FloatType>(type.getElementType()) ==
              llvm::isa<FloatType>(param.getType().getElementType()))
        return {};
      return errorf("{}linnet.param \"{}\" and the function that computes it differ in type", where(param),
                    param.getName().str());
    }
    auto tensor = weights.open(param.getName());
    if (!tensor) return errorf("{}{}", where(param), tensor.error().message);
    if (llvm::ArrayRef<int64_t>(tensor->shape) == param.getType().getShape()) return {};
    return errorf("{}linnet.param \"{}\" has shape ({}), the weights have ({})", where(param),
                  param.getName().str(), fmt::join(param.getType().getShape(), ", "),
                  fmt::join(tensor->shape, ", "));
  }

  ModuleOp module;
  WeightSource &weights;
  std::map<std::string, std::pair<RankedTensorType, int64_t>> seen;
};

} // namespace

Result<OwningOpRef<ModuleOp>> parseGraph(MLIRContext &context, std::string_view text,
                                         const std::string &path) {
  if (text.size() > kLargestFile)
    return errorf("{}: expected at most {} bytes of text, found {}", path, kLargestFile, text.size());
  if (text.starts_with("ML\xefR")) return errorf("{}: expected text, found MLIR bytecode", path);
  if (text.find('\0') != text.npos) return errorf("{}: expected text, found a zero byte", path);
  LINNET_TRY(checkNesting(text, path));
  DiagnosticCollector diagnostics(&context);
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(text.data(), text.size()), path), llvm::SMLoc());
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
  if (!module) return diagnostics.error(path + ": cannot be parsed");
  for (auto function : module->getOps<func::FuncOp>())
    if (ir::isEntry(function)) nameArguments(function);
  return module;
}

Result<void> checkGraph(ModuleOp module, WeightSource &weights) {
  return GraphChecker(module, weights).run();
}

} // namespace linnet
