#include "lab/bisect.h"

#include "ir/Linnet.h"
#include "ir/Locations.h"
#include "ir/Shapes.h"
#include "lab/drawn_weights.h"
#include "lab/reduce.h"
#include "lab/rounding.h"
#include "lab/widen.h"
#include "passes/Kept.h"
#include "support/error.h"

#include <algorithm>

using namespace mlir;

namespace linnet::lab {
namespace {

using Module = OwningOpRef<ModuleOp>;

/// Whether some value has memory of a plan.
bool isPlanned(ModuleOp module) {
  auto planned = [](Operation *op) {
    for (StringRef name : {"linnet.slot", "linnet.output", "linnet.places", "linnet.in_place", "linnet.view"})
      if (op->hasAttr(name)) return WalkResult::interrupt();
    return WalkResult::advance();
  };
  return module.walk(planned).wasInterrupted();
}

class Bisection {
public:
  Bisection(PassManager &pipeline, const reference::WeightProvider &weights, const BisectOptions &options)
      : passes(pipeline), weights(weights), options(options) {}

  Result<std::optional<Finding>> run(ModuleOp source) {
    weights = withDrawn(weights, keptIntegers(source));
    LINNET_ASSIGN(PassCheck check, PassCheck::begin(source, options.seed, options.tolerance, weights));
    Module module(source.clone());
    for (size_t pass = 0; pass < passes.passes(); ++pass) {
      tell("pass " + passes.name(pass));
      Module in_front(module->clone());
      if (!isPlanned(*module)) unplanned = Module(module->clone()), first_planning = pass;
      auto fault = after(*module, {pass, pass}, check);
      if (!fault) continue;
      // A part of a graph needs a new plan, so the planning passes run again.
      bool replan = fault->kind == Fault::plan;
      Finding found =
          finding(replan ? *unplanned : *in_front, {replan ? first_planning : pass, pass}, *fault);
      return std::optional(std::move(found));
    }
    if (!options.target) return std::optional<Finding>();
    return ofTarget(source);
  }

private:
  void tell(const std::string &what) {
    if (options.progress) options.progress(what);
  }

  /// Runs passes on `module`, the last one that `check` has checked.
  std::optional<Fault> after(ModuleOp module, Window window, PassCheck &check) {
    if (auto ran = passes.run(module, window); !ran)
      return Fault{passes.crashed() ? Fault::crash : Fault::invalid, ran.error().message};
    return check.check(passes.name(window.last), module);
  }

  /// The fault of `window` on a copy of `module` with random inputs; nothing if it cannot be run.
  std::optional<Fault> alone(ModuleOp module, Window window) {
    auto check = PassCheck::begin(module, options.seed, options.tolerance, weights);
    if (!check || !brokenPlan(module).empty()) return std::nullopt;
    Module copy(module.clone());
    return after(*copy, window, *check);
  }

  Finding finding(ModuleOp in_front, Window window, const Fault &fault) {
    Finding found;
    found.kind = Finding::pass;
    found.fault = fault;
    found.pass_name = passes.name(window.last);
    for (size_t pass = window.first; pass <= window.last; ++pass)
      found.pass_text += (pass > window.first ? "," : "") + passes.text(pass);
    found.pass_number = window.last + 1, found.passes = passes.passes();
    findApplication(in_front, window, found);
    StillFaulty faulty = [&](ModuleOp module) {
      auto here = alone(module, window);
      return here && here->kind == fault.kind;
    };
    cutDown(in_front, faulty, found);
    if (auto reduced = alone(*found.graph, window)) found.reduced_fault = *reduced;
    return found;
  }

  void findApplication(ModuleOp module, Window window, Finding &found) {
    auto faulty = [&](int64_t limit) {
      tell(fmt::format("{}: the first {} changes", found.pass_name, limit));
      return alone(module, {window.first, window.last, limit}).has_value();
    };
    alone(module, window);
    int64_t high = found.applications = passes.applications(), low = 0;
    if (high == 0 || !faulty(high) || faulty(0)) return;
    while (high - low > 1) { // `low` changes are correct, `high` are not
      int64_t middle = low + (high - low) / 2;
      (faulty(middle) ? high : low) = middle;
    }
    faulty(high);
    found.number = high;
    found.application = passes.lastApplication();
  }

  void cutDown(ModuleOp module, const StillFaulty &faulty, Finding &found) {
    Reduction reduction =
        reduce(module, faulty, [&](int64_t ops) { tell(fmt::format("cutting down: {} ops", ops)); });
    found.graph = std::move(reduction.module);
    found.weights = weights;
    found.ops = reduction.ops, found.trials = reduction.trials;
    found.graph->walk([&](Operation *op) {
      std::string place = ir::locationName(op->getLoc());
      if (llvm::isa<ir::LinnetDialect>(op->getDialect()) && !place.empty() &&
          std::find(found.places.begin(), found.places.end(), place) == found.places.end())
        found.places.push_back(place);
    });
  }

  /// Runs the whole pipeline, then compares the target with the interpreter for two calls of each entry.
  Result<std::optional<Fault>> onTarget(ModuleOp source, std::vector<std::string> *commands = nullptr) {
    Module planned(source.clone());
    LINNET_TRY(passes.run(*planned, {0, passes.passes()}));
    Rounds rounds(2);
    for (size_t round = 0; round < rounds.size(); ++round) {
      LINNET_ASSIGN(rounds[round], drawCalls(source, options.seed + round));
      for (Call &call : rounds[round]) call.states.clear();
    }
    LINNET_ASSIGN(std::vector<Outcome> expected, interpret(*planned, rounds, weights));
    for (Outcome &outcome : expected) // the target has no scores
      for (auto &[entry, values] : outcome.values)
        std::erase_if(values, [](const auto &value) { return value.first.starts_with("state "); });
    LINNET_ASSIGN(std::vector<Bounds> bounds, targetBounds(*planned, rounds, expected));
    LINNET_ASSIGN(TargetRun run, options.target(*planned, rounds, weights));
    if (commands) *commands = std::move(run.commands);
    for (size_t round = 0; round < rounds.size(); ++round)
      if (Difference worst = compare(run.outcomes[round], expected[round], bounds[round]); worst.excess > 1)
        return std::optional(
            Fault{Fault::numbers, "the target gives other numbers than the interpreter: " + worst.text()});
    return std::optional<Fault>();
  }

  Result<std::vector<Bounds>> targetBounds(ModuleOp planned, const Rounds &rounds,
                                           const std::vector<Outcome> &expected) {
    if (options.tolerance == 0)
      return roundingBounds(widen(planned), rounds, weights, {.types = true, .device = kDeviceRounding});
    std::vector<Bounds> bounds;
    for (const Outcome &outcome : expected) bounds.push_back(boundsOf(outcome, options.tolerance));
    return bounds;
  }

  Result<std::optional<Finding>> ofTarget(ModuleOp source) {
    tell("the target");
    LINNET_ASSIGN(std::optional<Fault> fault, onTarget(source));
    if (!fault) return std::optional<Finding>();
    Finding found;
    found.kind = Finding::target;
    found.fault = *fault;
    found.passes = passes.passes();
    StillFaulty faulty = [&](ModuleOp module) {
      auto here = onTarget(module);
      return here && here->has_value();
    };
    cutDown(source, faulty, found);
    if (auto reduced = onTarget(*found.graph, &found.commands); reduced && reduced->has_value())
      found.reduced_fault = **reduced;
    return std::optional(std::move(found));
  }

  WindowedRun passes;
  Module unplanned; ///< the last module without a memory plan, before pass first_planning
  size_t first_planning = 0;
  reference::WeightProvider weights;
  const BisectOptions &options;
};

} // namespace

Result<std::optional<Finding>> bisect(ModuleOp module, PassManager &pipeline,
                                      const reference::WeightProvider &weights,
                                      const BisectOptions &options) {
  return Bisection(pipeline, weights, options).run(module);
}

} // namespace linnet::lab
