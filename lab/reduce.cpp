#include "lab/reduce.h"

#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"

#include <map>
#include <set>
#include <string>

using namespace mlir;

namespace linnet::lab {
namespace {
using namespace ir;

using Module = OwningOpRef<ModuleOp>;

bool isStored(Operation *op) { return llvm::isa<ParamOp, ConstantOp>(op); }

SmallVector<func::FuncOp> entriesOf(ModuleOp module) {
  SmallVector<func::FuncOp> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (isEntry(function)) entries.push_back(function);
  return entries;
}

/// An entry that is being reduced. Every edit leaves a valid function after tidy().
class Entry {
public:
  explicit Entry(func::FuncOp function) : function(function), body(function.getBody().front()) {}

  SmallVector<Operation *> computing() {
    SmallVector<Operation *> ops;
    for (Operation &op : body.without_terminator())
      if (!isStored(&op)) ops.push_back(&op);
    return ops;
  }
  SmallVector<Operation *> all() {
    SmallVector<Operation *> ops;
    for (Operation &op : body.without_terminator()) ops.push_back(&op);
    return ops;
  }
  Operation *end() { return body.getTerminator(); }

  /// Replaces `value` by a new argument.
  void toArgument(Value value) {
    auto named = Builder(function.getContext()).getStringAttr(freshName());
    unsigned at = function.getNumArguments();
    auto name = NamedAttribute(StringAttr::get(function.getContext(), "linnet.name"), named);
    function.insertArgument(at, plain(value), DictionaryAttr::get(function.getContext(), {name}),
                            value.getLoc());
    Value argument = function.getArgument(at);
    value.replaceAllUsesWith(argument);
  }

  /// Makes the function return exactly these values.
  void setResults(ArrayRef<Value> values) {
    Builder builder(function.getContext());
    SmallVector<Type> types;
    SmallVector<DictionaryAttr> attributes;
    for (auto [i, value] : llvm::enumerate(values)) {
      types.push_back(value.getType());
      attributes.push_back(builder.getDictionaryAttr(
          {builder.getNamedAttr("linnet.name", builder.getStringAttr("result" + std::to_string(i)))}));
    }
    end()->setOperands(values);
    function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
    function.setAllResultAttrs(ArrayRef(attributes));
  }

  void keepResults(ArrayRef<unsigned> kept) {
    llvm::BitVector dropped(function.getNumResults(), true);
    for (unsigned i : kept) dropped.reset(i);
    end()->eraseOperands(dropped);
    function.eraseResults(dropped);
  }

  /// Removes unused ops, arguments and state results.
  void tidy() {
    for (bool changed = true; changed;) {
      changed = false;
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
        if (&op != end() && op.use_empty()) op.erase(), changed = true;
      changed |= dropUnreadStates();
    }
    llvm::BitVector unused(function.getNumArguments());
    for (BlockArgument argument : body.getArguments())
      if (argument.use_empty()) unused.set(argument.getArgNumber());
    function.eraseArguments(unused);
    lonelyStatesToInputs();
  }

  func::FuncOp function;

private:
  /// Removes the results of states that are returned unchanged or whose argument was removed.
  bool dropUnreadStates() {
    SmallVector<unsigned> kept;
    for (unsigned i = 0; i < function.getNumResults(); ++i) {
      StringRef state = resultState(function, i);
      Value value = end()->getOperand(i);
      auto argument = llvm::dyn_cast<BlockArgument>(value);
      if (!state.empty() && (!hasState(state) || (argument && argument.hasOneUse()))) continue;
      kept.push_back(i);
    }
    if (kept.size() == function.getNumResults()) return false;
    keepResults(kept);
    return true;
  }
  /// Turns states without a result into ordinary inputs.
  void lonelyStatesToInputs() {
    std::set<std::string> returned;
    for (unsigned i = 0; i < function.getNumResults(); ++i) returned.insert(resultState(function, i).str());
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      std::string state = argState(function, i).str();
      if (state.empty() || returned.count(state)) continue;
      function.setArgAttr(i, "linnet.name", StringAttr::get(function.getContext(), state));
      function.removeArgAttr(i, "linnet.state");
    }
  }
  bool hasState(StringRef state) {
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (argState(function, i) == state) return true;
    return false;
  }
  Type plain(Value value) { return plainType(llvm::cast<RankedTensorType>(value.getType())); }
  std::string freshName() {
    std::set<std::string> taken;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) taken.insert(argName(function, i).str());
    for (int i = 0;; ++i)
      if (std::string name = "x" + std::to_string(i); !taken.count(name)) return name;
  }

  Block &body;
};

class Reducer {
public:
  Reducer(ModuleOp module, const StillFaulty &faulty, const std::function<void(int64_t)> &progress)
      : best(module.clone()), faulty(faulty), progress(progress) {}

  Reduction run() {
    oneEntry();
    if (entriesOf(*best).size() == 1) {
      attempt([](Entry &entry) { return stripPlan(entry.function); });
      cutBehind();
      cutInFront();
      for (int64_t before = -1; before != countOps(*best);) {
        before = countOps(*best);
        earlierResult();
        fewerResults();
        weightsToArguments();
        singleOps();
      }
      attempt([](Entry &entry) { return statesToArguments(entry.function); });
      fewerResults();
      attempt(nameResults);
    }
    int64_t ops = countOps(*best);
    return {std::move(best), ops, trials};
  }

private:
  /// Tries `edit` on a copy and keeps it if the fault remains. `edit` returns whether it changed anything.
  bool attempt(const std::function<bool(Entry &)> &edit) {
    Module copy(best->clone());
    Entry entry(entriesOf(*copy).front());
    if (!edit(entry)) return false;
    entry.tidy();
    return accept(std::move(copy));
  }

  bool accept(Module copy) {
    eraseUnreadWeightFunctions(*copy);
    if (!sane(*copy)) return false;
    ++trials;
    if (progress) progress(countOps(*copy));
    Module tried(copy->clone());
    if (!faulty(*tried)) return false;
    best = std::move(copy);
    return true;
  }

  /// Whether the module has ops and passes the verifier.
  static bool sane(ModuleOp module) {
    for (func::FuncOp entry : entriesOf(module))
      if (!entry.getNumResults()) return false;
    ScopedDiagnosticHandler quiet(module.getContext(), [](Diagnostic &) { return success(); });
    return succeeded(verify(module));
  }

  static void eraseUnreadWeightFunctions(ModuleOp module) {
    for (bool changed = true; changed;) {
      std::set<std::string> read;
      module.walk([&](ParamOp param) { read.insert(param.getName().str()); });
      changed = false;
      for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
        if (function->hasAttr("linnet.weight") && !read.count(function.getName().str()))
          function.erase(), changed = true;
    }
  }

  void oneEntry() {
    auto entries = entriesOf(*best);
    for (size_t kept = 0; entries.size() > 1 && kept < entries.size(); ++kept) {
      Module copy(best->clone());
      auto copies = entriesOf(*copy);
      for (size_t i = 0; i < copies.size(); ++i)
        if (i != kept) copies[i].erase();
      if (accept(std::move(copy))) return;
    }
  }

  /// Keeps the first `count` computing ops, and returns the values that later ops read.
  static bool keepFirst(Entry &entry, size_t count) {
    SmallVector<Operation *> ops = entry.computing();
    llvm::SmallPtrSet<Operation *, 32> kept(ops.begin(), ops.begin() + static_cast<ptrdiff_t>(count));
    SmallVector<Value> results;
    for (Operation *op : ops) {
      if (!kept.contains(op)) break;
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !kept.contains(user); }))
          results.push_back(result);
    }
    entry.setResults(results);
    return true;
  }

  /// Removes the first `count` computing ops. The values that later ops read become arguments.
  static bool dropFirst(Entry &entry, size_t count) {
    SmallVector<Operation *> ops = entry.computing();
    llvm::SmallPtrSet<Operation *, 32> dropped(ops.begin(), ops.begin() + static_cast<ptrdiff_t>(count));
    SmallVector<unsigned> results;
    for (auto [i, value] : llvm::enumerate(entry.end()->getOperands()))
      if (value.getDefiningOp() && !dropped.contains(value.getDefiningOp())) results.push_back(i);
    entry.keepResults(results);
    for (Operation *op : dropped)
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !dropped.contains(user); }))
          entry.toArgument(result);
    return true;
  }

  size_t computingOps() { return Entry(entriesOf(*best).front()).computing().size(); }

  void cutBehind() {
    size_t low = 1, high = computingOps(); // the least number of ops with the fault is in [low, high]
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (attempt([&](Entry &entry) { return keepFirst(entry, middle); }))
        high = std::min(middle, computingOps());
      else
        low = middle + 1;
    }
  }

  void cutInFront() {
    for (size_t refused = computingOps(); refused > 1;) { // dropping so many ops removes the fault
      size_t count = refused / 2, before = computingOps();
      if (attempt([&](Entry &entry) { return dropFirst(entry, count); }))
        refused -= std::min(refused, before - computingOps());
      else
        refused = count;
    }
  }

  /// Returns only the first op that shows the fault.
  void earlierResult() {
    for (size_t i = 0; i + 1 < computingOps(); ++i)
      if (attempt([&](Entry &entry) {
            Operation *op = entry.computing()[i];
            entry.setResults(SmallVector<Value>(op->getResults()));
            return true;
          }))
        return;
  }

  void fewerResults() {
    unsigned count = entriesOf(*best).front().getNumResults();
    for (unsigned i = 0; i < count; ++i)
      if (attempt([&](Entry &entry) {
            if (i < count) entry.keepResults({i});
            return count > 1;
          }))
        return;
    for (unsigned i = count; i-- > 0;)
      attempt([&](Entry &entry) {
        if (entry.function.getNumResults() < 2 || i >= entry.function.getNumResults()) return false;
        SmallVector<unsigned> kept;
        for (unsigned k = 0; k < entry.function.getNumResults(); ++k)
          if (k != i) kept.push_back(k);
        entry.keepResults(kept);
        return true;
      });
  }

  /// Turns weights into arguments, all at once or else one by one.
  void weightsToArguments() {
    auto params = [](Entry &entry) { return llvm::to_vector(entry.function.getOps<ParamOp>()); };
    if (attempt([&](Entry &entry) {
          auto all = params(entry);
          for (ParamOp param : all) entry.toArgument(param);
          return !all.empty();
        }))
      return;
    for (size_t i = llvm::range_size(entriesOf(*best).front().getOps<ParamOp>()); i-- > 0;)
      attempt([&](Entry &entry) {
        auto all = params(entry);
        if (i < all.size()) entry.toArgument(all[i]);
        return i < all.size();
      });
  }

  /// Replaces each op, the last first, by an operand of its type or by arguments.
  void singleOps() {
    for (size_t i = computingOps(); i-- > 0;) {
      if (i >= computingOps()) continue;
      auto bypass = [&](Entry &entry) {
        Operation *op = entry.computing()[i];
        if (op->getNumResults() != 1) return false;
        for (Value operand : op->getOperands())
          if (operand.getType() == op->getResult(0).getType() && !llvm::isa<BlockArgument>(operand)) {
            op->getResult(0).replaceAllUsesWith(operand);
            return true;
          }
        return false;
      };
      auto cut = [&](Entry &entry) {
        Operation *op = entry.computing()[i];
        SmallVector<unsigned> results;
        for (auto [k, value] : llvm::enumerate(entry.end()->getOperands()))
          if (value.getDefiningOp() != op) results.push_back(k);
        if (results.empty()) return false;
        entry.keepResults(results);
        for (Value result : op->getResults())
          if (!result.use_empty()) entry.toArgument(result);
        return true;
      };
      if (!attempt(bypass)) attempt(cut);
    }
  }

  static bool stripPlan(func::FuncOp function) {
    bool changed = function->hasAttr("linnet.arena_bytes");
    function->removeAttr("linnet.arena_bytes");
    function->removeAttr("linnet.live_bytes");
    for (Operation &op : function.getBody().front())
      for (StringRef name :
           {"linnet.slot", "linnet.output", "linnet.places", "linnet.in_place", "linnet.view"})
        changed |= bool(op.removeDiscardableAttr(name));
    if (changed) function->getParentOfType<ModuleOp>()->removeAttr("linnet.target");
    return changed;
  }

  /// Turns caches into ordinary inputs.
  static bool statesToArguments(func::FuncOp function) {
    bool changed = false;
    auto rename = [&](StringRef state) {
      changed = true;
      return StringAttr::get(function.getContext(), state);
    };
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (StringRef state = argState(function, i); !state.empty()) {
        function.setArgAttr(i, "linnet.name", rename(state));
        function.removeArgAttr(i, "linnet.state");
      }
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (StringRef state = resultState(function, i); !state.empty()) {
        function.setResultAttr(i, "linnet.name", rename(state));
        function.removeResultAttr(i, StringAttr::get(function.getContext(), "linnet.state"));
      }
    return changed;
  }

  static bool nameResults(Entry &entry) {
    func::FuncOp function = entry.function;
    bool changed = false;
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (resultName(function, i).empty() && resultState(function, i).empty()) {
        changed = true;
        function.setResultAttr(i, "linnet.name",
                               StringAttr::get(function.getContext(), "result" + std::to_string(i)));
      }
    return changed;
  }

  Module best;
  const StillFaulty &faulty;
  const std::function<void(int64_t)> &progress;
  int64_t trials = 0;
};

} // namespace

int64_t countOps(ModuleOp module) {
  int64_t ops = 0;
  for (func::FuncOp entry : entriesOf(module))
    for (Operation &op : entry.getBody().front().without_terminator())
      ops += llvm::isa<LinnetDialect>(op.getDialect());
  return ops;
}

Reduction reduce(ModuleOp module, const StillFaulty &faulty, const std::function<void(int64_t)> &progress) {
  return Reducer(module, faulty, progress).run();
}

} // namespace linnet::lab
