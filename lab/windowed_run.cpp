#include "lab/windowed_run.h"

#include "ir/Locations.h"
#include "passes/RewriteAction.h"
#include "support/error.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Rewrite/PatternApplicator.h"

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
  // Arguments of templates keep their namespaces; the name itself loses them.
  size_t arguments = std::min(name.find('<'), name.size());
  if (size_t at = name.substr(0, arguments).rfind("::"); at != name.npos) name = name.substr(at + 2);
  return name.str();
}

Operation *operationOf(const tracing::Action &action) {
  for (const IRUnit &unit : action.getContextIRUnits())
    if (auto *op = llvm::dyn_cast_if_present<Operation *>(unit)) return op;
  return nullptr;
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
  next_pass = current = 0, depth = 0, count = 0, last = {};
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
  if (llvm::isa<PassExecutionAction>(action)) {
    if (depth == 0) {
      current = next_pass++;
      if (current < window.first || current > window.last) return;
    }
    ++depth;
    go();
    --depth;
    return;
  }
  bool counts = llvm::isa<ApplyPatternAction, RewriteAction>(action) && current == window.last;
  if (!counts) return go();
  if (++count > window.limit) return;
  if (count == window.limit)
    if (Operation *op = operationOf(action))
      last = {nameOf(action), op->getName().getStringRef().str(), ir::locationName(op->getLoc())};
  go();
}

} // namespace linnet::lab
