#include "lab/windowed_run.h"

#include "ir/Locations.h"
#include "passes/RewriteAction.h"
#include "support/error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Rewrite/PatternApplicator.h"

#include <algorithm>
#include <cstring>

using namespace mlir;

namespace linnet::lab {
namespace {

/// "`apply-pattern pattern: (anonymous namespace)::AbsorbBias" -> "AbsorbBias"
std::string nameOf(const tracing::Action &action) {
  std::string text;
  llvm::raw_string_ostream out(text);
  action.print(out);
  StringRef name = text;
  if (size_t at = name.find("pattern: "); at != name.npos) name = name.substr(at + 9);
  // Removes the namespaces of the name, but not those of template arguments.
  size_t arguments = std::min(name.find('<'), name.size());
  if (size_t at = name.substr(0, arguments).rfind("::"); at != name.npos) name = name.substr(at + 2);
  return name.str();
}

Operation *operationOf(const tracing::Action &action) {
  for (const IRUnit &unit : action.getContextIRUnits())
    if (auto *op = llvm::dyn_cast_if_present<Operation *>(unit)) return op;
  return nullptr;
}

/// The IR that a change of `op` may affect: its function, else the whole module.
Operation *scopeOf(Operation *op) {
  if (auto function = op->getParentOfType<func::FuncOp>()) return function;
  while (Operation *parent = op->getParentOp()) op = parent;
  return op;
}

} // namespace

WindowedRun::WindowedRun(PassManager &manager) : manager(manager) {
  for (Pass &pass : manager) {
    std::string text;
    llvm::raw_string_ostream out(text);
    pass.printAsTextualPipeline(out);
    texts.push_back(text);
    names.push_back(pass.getArgument().empty() ? text : pass.getArgument().str());
  }
}

Result<void> WindowedRun::run(ModuleOp module, Window window) {
  if (auto how = crash(module, window)) return errorf("{}", *how);
  return runHere(module, window);
}

std::optional<std::string> WindowedRun::crash(ModuleOp module, Window window) {
  progress() = {};
  auto how = crashOf([&] { (void)runHere(module, window); });
  ended_in_crash = how.has_value();
  return how;
}

Result<void> WindowedRun::runHere(ModuleOp module, Window window) {
  next_pass = 0, depth = 0, ended_in_crash = false;
  progress() = {};
  MLIRContext &context = *module.getContext();
  std::string first;
  ScopedDiagnosticHandler diagnostics(&context, [&](Diagnostic &diagnostic) {
    if (first.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error) first = diagnostic.str();
    return success();
  });
  context.registerActionHandler(
      [&](llvm::function_ref<void()> go, const tracing::Action &action) { handle(go, action, window); });
  bool ran = succeeded(manager.run(module));
  context.registerActionHandler(nullptr);
  if (ran) return {};
  return errorf("{}", first.empty() ? "the pass failed and did not say why" : first);
}

void WindowedRun::handle(llvm::function_ref<void()> go, const tracing::Action &action, Window window) {
  Progress &now = progress();
  if (llvm::isa<PassExecutionAction>(action)) {
    if (depth == 0) {
      const size_t pass = next_pass++;
      if (pass < window.first || pass > window.last) return;
      now.pass = pass;
    }
    ++depth;
    go();
    --depth;
    return;
  }
  if (!llvm::isa<ApplyPatternAction, RewriteAction>(action) || now.pass != window.last) return go();
  if (now.changes == window.limit) return;
  Operation *op = operationOf(action);
  Operation *scope = op ? scopeOf(op) : nullptr;
  if (now.changes + 1 == window.limit) note(action, op);
  std::optional<OperationFingerPrint> before;
  if (scope) before.emplace(scope);
  now.changing = true;
  go();
  now.changing = false;
  now.changes += !scope || OperationFingerPrint(scope) != *before;
}

void WindowedRun::note(const tracing::Action &action, Operation *op) {
  auto copy = [](auto &to, const std::string &from) {
    const size_t size = std::min(from.size(), sizeof(to) - 1);
    std::memcpy(to, from.data(), size);
    to[size] = 0;
  };
  Progress &now = progress();
  copy(now.name, nameOf(action));
  copy(now.op, op ? op->getName().getStringRef().str() : "");
  copy(now.location, op ? ir::locationName(op->getLoc()) : "");
}

} // namespace linnet::lab
