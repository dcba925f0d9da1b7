#include "runtime/artifact/dispatch_check.h"
#include "runtime/artifact/artifact.h"
#include "runtime/expr.h"
#include "support/error.h"

#include <cstring>
#include <limits>
#include <vector>

namespace linnet {
namespace {

constexpr uint32_t kMaxBindings = 64, kMaxPushWords = 64, kMaxLocalSize = 65536, kMaxLoops = 256;
constexpr uint32_t kMaxChoices = 64, kMaxSteps = 16, kMaxArgs = 64, kMaxSplits = 3, kAxes = 3;
constexpr uint64_t kMaxShaderBytes = uint64_t(1) << 26;
constexpr int64_t kMaxWord = std::numeric_limits<int32_t>::max();

// Checks one choice of a dispatch.
class StepCheck {
public:
  StepCheck(const fb::Program &program, const fb::Dispatch &dispatch, std::span<const int64_t> bounds,
            const fb::Step &step)
      : program(program), dispatch(dispatch), bounds(bounds), step(step) {}

  Result<void> check() {
    uint32_t shaders = program.shaders() ? program.shaders()->size() : 0;
    if (step.shader() >= shaders) return errorf("shader {} of {}", step.shader(), shaders);
    shader = program.shaders()->Get(step.shader());
    LINNET_TRY(checkArgs());
    LINNET_TRY(checkBindings());
    LINNET_TRY(checkPush());
    if (step.groups()->size() > kAxes) return errorf("workgroups along {} axes", step.groups()->size());
    for (const fb::Groups *groups : *step.groups()) {
      if (groups->per() == 0) return errorf("workgroups of 0 units");
      LINNET_TRY(word(groups->amount(), "a number of workgroups"));
    }
    if (step.splits()->size() > kMaxSplits) return errorf("{} splits", step.splits()->size());
    std::vector<bool> used(step.args()->size());
    for (const fb::Split *split : *step.splits()) LINNET_TRY(checkSplit(*split, used));
    return {};
  }

private:
  Result<int64_t> word(const fb::Expr *expr, const char *what) {
    LINNET_ASSIGN(int64_t value, valueAtBounds(expr, bounds, what));
    if (value > kMaxWord) return errorf("{} of {} does not fit in 31 bits", what, value);
    return value;
  }

  Result<void> checkArgs() {
    if (step.args()->size() != step.access()->size())
      return errorf("{} arguments with {} kinds of access", step.args()->size(), step.access()->size());
    for (uint32_t i = 0; i < step.args()->size(); ++i) {
      uint32_t arg = step.args()->Get(i);
      if (arg >= dispatch.args()->size()) return errorf("argument {} of {}", arg, dispatch.args()->size());
      auto access = static_cast<uint8_t>(step.access()->Get(i));
      if (access < 1 || access > 3) return errorf("argument {}: unknown access {}", i, access);
      fb::Space space = dispatch.args()->Get(arg)->space();
      bool texels = shader->texels() && !step.bind() && i < shader->bindings() && shader->texels()->Get(i);
      if ((access & 2) && texels) return errorf("argument {}: writes to texels", i);
      if ((access & 2) && (space == fb::Space::weight || space == fb::Space::input))
        return errorf("argument {}: writes to {}", i, fb::EnumNameSpace(space));
    }
    return {};
  }

  Result<void> checkBindings() {
    if (!step.bind()) {
      if (step.args()->size() == shader->bindings()) return {};
      return errorf("shader '{}' has {} bindings, {} arguments are given", shader->name()->string_view(),
                    shader->bindings(), step.args()->size());
    }
    if (shader->texels()) return errorf("texels in shared bindings");
    if (step.bind()->size() != step.args()->size())
      return errorf("{} arguments with {} bindings", step.args()->size(), step.bind()->size());
    std::vector<bool> there(shader->bindings());
    for (uint32_t binding : *step.bind()) {
      if (binding >= there.size()) return errorf("binding {} of {}", binding, there.size());
      there[binding] = true;
    }
    for (size_t i = 0; i < there.size(); ++i)
      if (!there[i]) return errorf("nothing is bound at {}", i);
    if (step.offsets() > kMaxPushWords || step.offsets() + step.args()->size() > shader->push_words())
      return errorf("push words [{}, +{}) of {}", step.offsets(), step.args()->size(), shader->push_words());
    return {};
  }

  Result<void> checkPush() {
    if (step.push()->size() > shader->push_words())
      return errorf("{} push words of {}", step.push()->size(), shader->push_words());
    for (const fb::Expr *expr : *step.push()) LINNET_TRY(word(expr, "a push word"));
    return {};
  }

  Result<void> checkSplit(const fb::Split &split, std::vector<bool> &used) {
    LINNET_ASSIGN(int64_t units, word(split.units(), "units of a split"));
    if (split.first() >= shader->push_words() || split.count() >= shader->push_words() ||
        split.first() == split.count())
      return errorf("a split's push words {} and {} of {}", split.first(), split.count(),
                    shader->push_words());
    if (split.axis() > kAxes || (split.axis() < kAxes && split.axis() >= step.groups()->size()))
      return errorf("a split along axis {} of {}", split.axis(), step.groups()->size());
    if (split.args()->size() != split.unit_bytes()->size())
      return errorf("a split of {} arguments with {} sizes", split.args()->size(),
                    split.unit_bytes()->size());
    if (reinterpret_cast<uintptr_t>(split.unit_bytes()->Data()) % alignof(uint64_t) && split.args()->size())
      return errorf("a split's sizes are not aligned");
    for (uint32_t i = 0; i < split.args()->size(); ++i) {
      uint32_t arg = split.args()->Get(i);
      if (arg >= used.size() || used[arg]) return errorf("a split of argument {}", arg);
      used[arg] = true;
      if (step.bind())
        for (uint32_t j = 0; j < used.size(); ++j)
          if (j != arg && step.bind()->Get(j) == step.bind()->Get(arg))
            return errorf("a split of argument {}, which shares a binding", arg);
      uint64_t bytes = split.unit_bytes()->Get(i), size = dispatch.args()->Get(step.args()->Get(arg))->size();
      if (bytes == 0 || bytes % 4 || bytes > size || static_cast<uint64_t>(units) > size / bytes)
        return errorf("a split of {} units of {} bytes of an argument of {}", units, bytes, size);
    }
    return {};
  }

  const fb::Program &program;
  const fb::Dispatch &dispatch;
  std::span<const int64_t> bounds;
  const fb::Step &step;
  const fb::Shader *shader = nullptr;
};

Result<void> checkChoice(const fb::Program &program, const fb::Dispatch &dispatch,
                         std::span<const int64_t> bounds, const fb::Choice &choice) {
  LINNET_TRY(valueAtBounds(choice.amount(), bounds, "a choice's amount"));
  if (!(choice.tolerance() >= 0 && choice.tolerance() <= 1))
    return errorf("a tolerance of {}", choice.tolerance());
  if (choice.steps()->size() == 0 || choice.steps()->size() > kMaxSteps)
    return errorf("{} steps", choice.steps()->size());
  std::vector<bool> written(dispatch.args()->size());
  for (const fb::Step *step : *choice.steps()) {
    LINNET_TRY(StepCheck(program, dispatch, bounds, *step).check());
    for (uint32_t i = 0; i < step->args()->size(); ++i)
      if (static_cast<uint8_t>(step->access()->Get(i)) & 2) written[step->args()->Get(i)] = true;
  }
  for (uint32_t result : *dispatch.results())
    if (!written[result]) return errorf("argument {} is a result and not written", result);
  return {};
}

Result<void> checkLoops(const fb::Shader &shader) {
  auto name = shader.name()->string_view();
  const uint32_t count = shader.loops() ? shader.loops()->size() : 0;
  if (count > kMaxLoops) return errorf("shader '{}': {} loops", name, count);
  if (count && reinterpret_cast<uintptr_t>(shader.loops()->Data()) % alignof(fb::Loop))
    return errorf("shader '{}': its loops are not aligned", name);
  for (uint32_t i = 0; i < count; ++i) {
    const fb::Loop &loop = *shader.loops()->Get(i);
    if (loop.in() < -1 || loop.in() >= static_cast<int64_t>(i) || loop.step() == 0 ||
        loop.by() > fb::LoopBy::MAX || (loop.by() == fb::LoopBy::push && loop.most() >= shader.push_words()))
      return errorf("shader '{}': loop {} is in loop {}, in steps of {}, by {} {}", name, i, loop.in(),
                    loop.step(), static_cast<int>(loop.by()), loop.most());
  }
  return {};
}

} // namespace

Result<void> checkShader(const fb::Shader &shader) {
  auto name = shader.name()->string_view();
  uint64_t bytes = shader.words()->size();
  if (bytes < 20 || bytes % 4 || bytes > kMaxShaderBytes)
    return errorf("shader '{}': {} bytes are no SPIR-V", name, bytes);
  if (shader.bindings() > kMaxBindings || shader.push_words() > kMaxPushWords)
    return errorf("shader '{}': {} bindings, {} push words", name, shader.bindings(), shader.push_words());
  for (uint32_t size : {shader.local_x(), shader.local_y(), shader.local_z()})
    if (size < 1 || size > kMaxLocalSize) return errorf("shader '{}': a local size of {}", name, size);
  if (uint64_t(shader.local_x()) * shader.local_y() * shader.local_z() > kMaxLocalSize)
    return errorf("shader '{}': more than {} invocations", name, kMaxLocalSize);
  if (shader.subgroup_min() > shader.subgroup_max())
    return errorf("shader '{}': subgroups from {} to {}", name, shader.subgroup_min(), shader.subgroup_max());
  if (shader.texels() && shader.texels()->size() != shader.bindings())
    return errorf("shader '{}': {} bindings with {} sizes of texels", name, shader.bindings(),
                  shader.texels()->size());
  for (uint32_t i = 0; shader.texels() && i < shader.bindings(); ++i)
    if (uint8_t words = shader.texels()->Get(i); words > 4 || words == 3)
      return errorf("shader '{}': texels of {} words", name, words);
  return checkLoops(shader);
}

Result<void> checkSpirv(std::span<const std::byte> bytes) {
  constexpr uint32_t kMagic = 0x07230203, kHeaderWords = 5, kEntryPoint = 15, kCompute = 5;
  std::vector<uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), words.size() * 4);
  if (words.size() < kHeaderWords || words[0] != kMagic) return Error{"is no SPIR-V"};
  bool found = false;
  for (size_t i = kHeaderWords; i < words.size();) {
    size_t length = words[i] >> 16;
    if (length == 0 || length > words.size() - i) return errorf("ends within the instruction at word {}", i);
    // OpEntryPoint: execution model, function, name, interface.
    if ((words[i] & 0xffff) == kEntryPoint && length >= 5 && words[i + 1] == kCompute)
      found |= std::memcmp(&words[i + 3], "main", sizeof "main") == 0;
    i += length;
  }
  return found ? Result<void>() : Error{"has no compute shader 'main'"};
}

Result<void> checkDispatch(const fb::Program &program, const fb::Dispatch &dispatch,
                           std::span<const int64_t> bounds) {
  uint32_t args = dispatch.args()->size();
  if (args > kMaxArgs || dispatch.types()->size() != args)
    return errorf("{} operands with {} types", args, dispatch.types()->size());
  for (uint32_t i = 0; i < args; ++i) {
    const fb::Ref &ref = *dispatch.args()->Get(i);
    if (ref.offset() % kBufferAlignment)
      return errorf("operand {}: offset {} is not a multiple of {}", i, ref.offset(), kBufferAlignment);
    if (ref.size() == 0) return errorf("operand {} is empty", i);
    if (storageBytes(dispatch.types()->Get(i), 2) == 0) return errorf("operand {}: unknown element type", i);
  }
  for (uint32_t result : *dispatch.results())
    if (result >= args) return errorf("result {} of {}", result, args);
  if (dispatch.choices()->size() == 0 || dispatch.choices()->size() > kMaxChoices)
    return errorf("{} choices", dispatch.choices()->size());
  for (const fb::Choice *choice : *dispatch.choices())
    if (auto good = checkChoice(program, dispatch, bounds, *choice); !good)
      return errorf("choice '{}': {}", choice->name()->string_view(), good.error().message);
  return {};
}

Result<void> checkKnownAnswer(const fb::Program &program, const fb::KnownAnswer &known) {
  if (known.entry() >= program.entries()->size())
    return errorf("entry {} of {}", known.entry(), program.entries()->size());
  const fb::Entry &entry = *program.entries()->Get(known.entry());
  if (known.command() >= entry.commands()->size())
    return errorf("command {} of {}", known.command(), entry.commands()->size());
  const fb::Dispatch *dispatch = entry.commands()->Get(known.command())->body_as_Dispatch();
  if (!dispatch) return errorf("command {} is not a dispatch", known.command());
  std::vector<uint32_t> choices(known.choices()->begin(), known.choices()->end());
  choices.push_back(known.choice());
  for (uint32_t choice : choices)
    if (choice >= dispatch->choices()->size())
      return errorf("choice {} of {}", choice, dispatch->choices()->size());
  if (known.symbols()->size() != entry.bounds()->size())
    return errorf("{} sizes of {}", known.symbols()->size(), entry.bounds()->size());
  for (uint32_t i = 0; i < known.symbols()->size(); ++i)
    if (int64_t size = known.symbols()->Get(i); size < 1 || size > entry.bounds()->Get(i))
      return errorf("size {} lies outside [1, {}]", size, entry.bounds()->Get(i));
  const uint32_t steps = dispatch->choices()->Get(known.choice())->steps()->size();
  if (known.outputs()->size() == 0) return Error{"no words"};
  for (const fb::KnownWords *output : *known.outputs()) {
    if (output->arg() >= dispatch->args()->size())
      return errorf("operand {} of {}", output->arg(), dispatch->args()->size());
    if (output->step() >= steps) return errorf("step {} of {}", output->step(), steps);
    const uint64_t words = dispatch->args()->Get(output->arg())->size() / 4;
    if (output->runs()->size() % 2) return errorf("{} numbers of runs", output->runs()->size());
    uint64_t sum = 0;
    for (uint32_t i = 0; i < output->runs()->size(); i += 2) {
      const uint64_t first = output->runs()->Get(i), count = output->runs()->Get(i + 1);
      if (first + count > words) return errorf("words [{}, +{}) of {}", first, count, words);
      sum += count;
    }
    if (sum != output->words()->size()) return errorf("{} words of {}", output->words()->size(), sum);
  }
  return {};
}

} // namespace linnet
