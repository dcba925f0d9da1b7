// The default pipeline: the passes of a target in order, and how to disable some.
#include "passes/Passes.h"
#include "support/error.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

using namespace mlir;

namespace linnet {
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

namespace {

/// One step of a pipeline: the argument of a pass, and whether it has the option `target`.
struct Step {
  const char *pass;
  bool takes_target = false;
  const char *options = "";
};

constexpr llvm::StringLiteral kJoinPass = "linnet-join"; // the only planning pass that may be disabled

/// The passes that plan any module of the dialect. Backends lower only planned modules.
constexpr Step kPlanning[] = {{"linnet-wrap-elementwise"},
                              {"linnet-alias", true},
                              {"linnet-join", true},
                              {"linnet-plan-memory", true},
                              {"linnet-verify-plan"}};

bool plans(const TargetDescription &target) { return target.in_place_caches; }

std::vector<Step> planning(const TargetDescription &target) {
  if (!plans(target)) return {};
  std::vector<Step> steps(std::begin(kPlanning), std::end(kPlanning));
  llvm::erase_if(steps, [&](const Step &step) { return StringRef(step.pass) == kJoinPass && !target.joins; });
  return steps;
}

/// The pass with its options for a --dtype.
struct DtypePass {
  const char *dtype, *pass, *options;
};
constexpr DtypePass kDtypes[] = {{"bf16", "linnet-mixed-precision", "{weights=bf16}"},
                                 {"f16", "linnet-mixed-precision", "{weights=f16}"},
                                 {"int8", "linnet-quantize", "{bits=8}"},
                                 {"int4", "linnet-quantize", "{bits=4 group=32}"},
                                 {"int4a", "linnet-quantize", "{bits=4 group=32 asymmetric=true}"}};

/// --dtype keep: weights as the checkpoint stores them.
constexpr llvm::StringLiteral kKeep = "keep";

/// The options of linnet-mixed-precision for a --kv-cache.
struct CachePass {
  const char *type, *options;
};
constexpr CachePass kCaches[] = {{"bf16", "{weights=f32 cache=bf16}"}, {"f16", "{weights=f32 cache=f16}"}};

std::vector<Step> optimizing(const TargetDescription &target, const PipelineSpec &spec) {
  const int opt_level = spec.opt_level;
  std::vector<Step> steps;
  if (opt_level >= 1) steps = {{"canonicalize"}, {"cse"}};
  if (opt_level >= 1 && target.attention) steps.push_back({"linnet-fuse-attention"});
  if (opt_level >= 2 && plans(target))
    steps.insert(steps.end(), {{"linnet-hoist-pool"}, {"linnet-fold-weights"}});
  for (const DtypePass &pass : kDtypes)
    if (spec.dtype == pass.dtype) steps.push_back({pass.pass, false, pass.options});
  if (spec.dtype == kKeep) {
    steps.push_back({"linnet-keep"});
    steps.push_back(
        {"linnet-mixed-precision", false, target.bf16_lhs ? "{weights=kept lhs=bf16}" : "{weights=kept}"});
  }
  if (spec.dtype == "bf16" && target.bf16_lhs) steps.back().options = "{weights=bf16 lhs=bf16}";
  for (const CachePass &pass : kCaches)
    if (spec.kv_cache == pass.type) steps.push_back({"linnet-mixed-precision", false, pass.options});
  if (opt_level >= 1) {
    if (target.matmul_epilogue) steps.push_back({"linnet-fuse-epilogue"});
    if (target.fused_elementwise) steps.push_back({"linnet-fuse-elementwise"});
    if (target.panel) steps.push_back({"linnet-assign-layout", true});
    const bool integers = llvm::StringRef(spec.dtype).starts_with("int") || spec.dtype == kKeep;
    if (integers && target.int8_rows) steps.push_back({"linnet-quantize-rows"});
    if ((integers || spec.dtype == "bf16") && target.bf16_attention)
      steps.push_back({"linnet-round-attention"});
    steps.insert(steps.end(), {{"canonicalize"}, {"cse"}});
  }
  if (opt_level >= 2 && plans(target)) steps.push_back({"linnet-schedule"});
  return steps;
}

std::vector<Step> allSteps(const TargetDescription &target, const PipelineSpec &spec) {
  std::vector<Step> steps = optimizing(target, spec);
  llvm::append_range(steps, planning(target));
  return steps;
}

std::string text(const std::vector<Step> &steps, const std::string &target) {
  std::vector<std::string> parts;
  for (const Step &step : steps)
    parts.push_back(step.takes_target ? fmt::format("{}{{target={}}}", step.pass, target)
                                      : std::string(step.pass) + step.options);
  return llvm::join(parts, ",");
}

Result<void> checkDisabled(const std::vector<std::string> &disabled) {
  for (const std::string &name : disabled) {
    if (llvm::is_contained(requiredPasses(), name))
      return errorf("--disable-pass={}: no module can be lowered without this pass", name);
    if (!PassInfo::lookup(name)) return errorf("--disable-pass={}: there is no pass of that name", name);
  }
  return {};
}

/// Appends the passes of `pipeline`, a text in mlir-opt's syntax, with or without the anchor
/// `builtin.module(...)`.
Result<void> append(OpPassManager &manager, llvm::StringRef pipeline,
                    const std::string &what = "--pass-pipeline") {
  std::string message;
  llvm::raw_string_ostream out(message);
  pipeline = pipeline.trim();
  if (pipeline.consume_front("builtin.module(") && !pipeline.consume_back(")"))
    return errorf("{}: expected ')' at the end", what);
  if (failed(parsePassPipeline(pipeline, manager, out))) {
    std::replace(message.begin(), message.end(), '\n', ' ');
    return errorf("{}: {}", what, llvm::StringRef(message).trim().str());
  }
  return {};
}

struct DefaultPipelineOptions : PassPipelineOptions<DefaultPipelineOptions> {
  Option<std::string> target{*this, "target", llvm::cl::desc("the target to plan for"),
                             llvm::cl::init("cpu")};
  Option<std::string> dtype{*this, "dtype", llvm::cl::desc("f32, bf16, f16, int8, int4, int4a or keep"),
                            llvm::cl::init("f32")};
  Option<std::string> kv_cache{*this, "kv-cache", llvm::cl::desc("f32, bf16 or f16"), llvm::cl::init("f32")};
  Option<int> opt_level{*this, "opt-level", llvm::cl::desc("0, 1 or 2"), llvm::cl::init(2)};
  ListOption<std::string> disabled{*this, "disable", llvm::cl::desc("passes to leave out")};
};

void registerEach() {
  registerCanonicalizerPass();
  registerCSEPass();
  registerLinnetPasses();
  // PassPipelineRegistration's builder cannot fail, but these options can be wrong.
  registerPassPipeline(
      "linnet-default-pipeline", "from a graph to a planned module for a target",
      [](OpPassManager &manager, StringRef options, function_ref<LogicalResult(const Twine &)> error) {
        DefaultPipelineOptions parsed;
        if (failed(parsed.parseFromString(options))) return failure();
        PipelineSpec spec{parsed.target, parsed.opt_level, {}, {}, parsed.dtype, parsed.kv_cache};
        for (const std::string &name : parsed.disabled) spec.disabled.push_back(name);
        auto built = buildPipeline(manager, spec);
        return built ? success() : error(built.error().message);
      },
      [](function_ref<void(const mlir::detail::PassOptions &)> visit) { visit(DefaultPipelineOptions()); });
}

} // namespace

const std::vector<std::string> &requiredPasses() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> names;
    for (const Step &step : kPlanning)
      if (StringRef(step.pass) != "linnet-verify-plan" && StringRef(step.pass) != kJoinPass)
        names.push_back(step.pass);
    return names;
  }();
  return names;
}

std::vector<std::string> defaultPasses(const TargetDescription &target, int opt_level) {
  std::vector<std::string> names;
  PipelineSpec spec;
  spec.opt_level = opt_level;
  for (const Step &step : allSteps(target, spec)) names.push_back(step.pass);
  return names;
}

Result<void> appendPasses(OpPassManager &manager, const std::string &passes, const std::string &what,
                          const std::vector<std::string> &disabled) {
  registerPasses();
  if (disabled.empty()) return append(manager, passes, what);
  OpPassManager all(manager.getOpAnchorName());
  LINNET_TRY(append(all, passes, what));
  for (Pass &pass : all.getPasses()) {
    if (llvm::is_contained(disabled, pass.getArgument())) continue;
    std::string text;
    llvm::raw_string_ostream out(text);
    pass.printAsTextualPipeline(out);
    LINNET_TRY(append(manager, text, what));
  }
  return {};
}

Result<void> buildPipeline(OpPassManager &manager, const PipelineSpec &spec) {
  registerPasses();
  const TargetDescription *target = findTarget(spec.target);
  if (!target) return errorf("unknown target '{}', expected {}", spec.target, targetNames());
  if (spec.opt_level < 0 || spec.opt_level > 2)
    return errorf("optimization level {}: expected 0, 1 or 2", spec.opt_level);
  if (spec.dtype != "f32" && spec.dtype != kKeep &&
      llvm::none_of(kDtypes, [&](const DtypePass &pass) { return spec.dtype == pass.dtype; }))
    return errorf("unknown dtype '{}', expected f32, bf16, f16, int8, int4, int4a or keep", spec.dtype);
  if (spec.kv_cache != "f32" &&
      llvm::none_of(kCaches, [&](const CachePass &pass) { return spec.kv_cache == pass.type; }))
    return errorf("unknown type of KV caches '{}', expected f32, bf16 or f16", spec.kv_cache);
  LINNET_TRY(checkDisabled(spec.disabled));
  std::vector<Step> steps = allSteps(*target, spec);
  if (!spec.custom.empty()) {
    LINNET_TRY(append(manager, spec.custom));
    steps = planning(*target);
  }
  llvm::erase_if(steps, [&](const Step &step) { return llvm::is_contained(spec.disabled, step.pass); });
  return append(manager, text(steps, target->name));
}

void registerPasses() {
  static std::once_flag once;
  std::call_once(once, registerEach);
}

} // namespace linnet
