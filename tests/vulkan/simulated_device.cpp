#include "tests/vulkan/simulated_device.h"

#include "backends/vulkan/simulator/workgroup.h"
#include "runtime/artifact/artifact.h"
#include "runtime/run_check.h"
#include "runtime/vulkan/execute/plan.h"
#include "runtime/vulkan/trial/answer.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet::testing {
namespace {

using namespace vulkan;

constexpr uint64_t kAlign = 256;
/// Instructions times lanes, some nanoseconds each: that a workgroup may take, and that a choice may for
/// others to be done as well.
constexpr uint64_t kWork = uint64_t(1) << 34, kWorkForAll = uint64_t(1) << 26;
constexpr float kUsualTolerance = 1.01e-4f; ///< of f32 in another order: artifact.fbs

uint64_t aligned(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// All of a program's memory: a buffer for each space.
class Memory {
public:
  Memory(const Artifact &artifact, const fb::Program &program) : program(program) {
    uint64_t end = 0;
    for (const fb::Weight *weight : *program.weights()) {
      const uint64_t bytes = weight->blob()->size();
      weights.push_back(end);
      words.show(bufferOf(fb::Space::weight), end, artifact.blob(*weight->blob()));
      const uint64_t behind = end + (bytes + 3) / 4 * 4; // texels may end there
      end = aligned(end + bytes);
      add(fb::Space::weight, behind, end, kPoison);
    }
    end = 0;
    for (const fb::State *state : *program.states()) states.push_back(end), end += aligned(state->bytes());
    add(fb::Space::state, 0, end, 0);
    add(fb::Space::arena, 0, aligned(program.arena_bytes()), kPoison);
    add(fb::Space::counter, 0, aligned(program.counter_bytes()), 0);
    uint64_t most[2] = {};
    for (const fb::Entry *entry : *program.entries()) {
      lay(*entry->inputs(), inputs.emplace_back(), most[0]);
      lay(*entry->outputs(), outputs.emplace_back(), most[1]);
    }
    add(fb::Space::input, 0, most[0], kPoison);
    add(fb::Space::output, 0, most[1], kPoison);
  }

  static uint32_t bufferOf(fb::Space space) { return uint32_t(space); }

  Range place(int entry, const fb::Ref &ref) const {
    const auto e = size_t(entry);
    auto in = [&](uint64_t base) { return Range{bufferOf(ref.space()), base + ref.offset(), ref.size()}; };
    switch (ref.space()) {
    case fb::Space::weight:
      return in(weights[ref.index()]);
    case fb::Space::state:
      return in(states[ref.index()]);
    case fb::Space::input:
      return in(inputs[e][ref.index()]);
    case fb::Space::output:
      return in(outputs[e][ref.index()]);
    case fb::Space::counter:
      return {bufferOf(ref.space()), 0, program.counter_bytes()};
    default:
      return in(0);
    }
  }

  void fill(fb::Space space, uint32_t with) {
    for (const Segment &s : words.bind(bufferOf(space), 0, ~uint64_t(0) / 2).segments)
      if (s.marks) std::fill_n(s.data, s.end - s.begin, with), std::fill_n(s.marks, s.end - s.begin, kFilled);
  }
  bool isZero(fb::Space space) const {
    const std::vector<uint32_t> all = read({bufferOf(space), 0, ~uint64_t(0) / 2});
    return std::ranges::count(all, 0u) == ptrdiff_t(all.size());
  }
  std::vector<uint32_t> read(const Range &range) const {
    std::vector<uint32_t> found;
    for (const Segment &s : bound(range).segments)
      found.insert(found.end(), s.data, s.data + (s.end - s.begin));
    return found;
  }
  /// Counts as not written.
  void write(const Range &range, std::span<const uint32_t> from) {
    for (const Segment &s : bound(range).segments) {
      std::copy_n(from.begin() + ptrdiff_t(s.begin), s.end - s.begin, s.data);
      std::fill_n(s.marks, s.end - s.begin, kFilled);
    }
  }
  SimulatedBinding bound(const Range &range) const {
    return words.bind(range.buffer, range.offset, (range.size + 3) / 4 * 4);
  }

  SimulatedMemory words{true};
  std::vector<std::vector<uint64_t>> inputs, outputs; ///< where ports begin

private:
  void add(fb::Space space, uint64_t begin, uint64_t end, uint32_t with) {
    if (begin >= end) return;
    words.add(bufferOf(space), begin, end);
    const std::vector<uint32_t> all((end - begin) / 4, with);
    words.fill(bufferOf(space), begin, std::as_bytes(std::span(all)));
  }
  static void lay(const flatbuffers::Vector<flatbuffers::Offset<fb::Port>> &ports, std::vector<uint64_t> &to,
                  uint64_t &most) {
    uint64_t end = 0;
    for (const fb::Port *port : ports) to.push_back(end), end += aligned(port->bytes());
    most = std::max(most, end);
  }

  const fb::Program &program;
  std::vector<uint64_t> weights, states;
};

/// The memory after a choice has run.
struct Outcome {
  std::vector<std::vector<uint32_t>> written; ///< of each range that choices write
  Answer answer;
};

/// One dispatch, in every way that the device would take.
class SimulatedDispatch {
public:
  SimulatedDispatch(const SimulatedGpu &gpu, const Artifact &artifact, const fb::Program &program,
                    const fb::Dispatch &dispatch, Memory &memory, const Place &place, Watch &watch,
                    const ShaderChange &change)
      : gpu(gpu), artifact(artifact), program(program), dispatch(dispatch), memory(memory), place(place),
        watch(watch), change(change) {}

  Result<void> run(std::span<const int64_t> symbols) {
    LINNET_TRY(plan(symbols));
    if (ways.front().steps.empty() || ways.front().steps.front().parts.empty()) return {};
    for (const auto &before : ranges) start.push_back(memory.read(before));
    // What stays is of the first choice that rounds no more than others do: what comes later is told apart.
    const auto exact = std::ranges::find_if(
        ways, [&](const PlannedDispatch &way) { return gpu.keeps_first || isUsual(way); });
    const PlannedDispatch &measure = exact == ways.end() ? ways.back() : *exact;
    LINNET_ASSIGN(const Outcome expected, outcomeOf(measure));
    const bool small = done <= kWorkForAll;
    for (const PlannedDispatch &way : ways) {
      if (&way == &measure || !small) continue;
      LINNET_ASSIGN(const Outcome found, outcomeOf(way));
      LINNET_TRY(compare(measure, expected, way, found));
    }
    restore(expected.written);
    return {};
  }

private:
  const fb::Choice &choice(const PlannedDispatch &way) const { return *dispatch.choices()->Get(way.choice); }
  bool isUsual(const PlannedDispatch &way) const { return choice(way).tolerance() <= kUsualTolerance; }
  std::string nameOf(const PlannedDispatch &way) const { return choice(way).name()->str(); }

  Result<void> plan(std::span<const int64_t> symbols) {
    for (uint32_t next = 0; next < dispatch.choices()->size();) {
      auto planned = planDispatch({gpu.inventory, program, place}, dispatch, symbols, next);
      if (!planned && ways.empty()) return planned.error();
      if (!planned) break;
      next = planned->choice + 1;
      ways.push_back(std::move(*planned));
    }
    for (const PlannedDispatch &way : ways)
      for (const PlannedStep &step : way.steps)
        for (const Touch &touch : step.touches)
          if (touch.write && !std::ranges::count(ranges, touch.range)) ranges.push_back(touch.range);
    return {};
  }

  void restore(const std::vector<std::vector<uint32_t>> &to) {
    for (size_t i = 0; i < ranges.size(); ++i) memory.write(ranges[i], to[i]);
  }

  Result<Outcome> outcomeOf(const PlannedDispatch &way) {
    restore(start);
    for (size_t s = 0; s < way.steps.size(); ++s)
      if (auto done = step(way.steps[s], Mark(kFirstStep + s)); !done)
        return errorf("{}: {}: {}", gpu.inventory.name, nameOf(way), done.error().message);
    if (!memory.isZero(fb::Space::counter)) return errorf("{}: counters are not zero", nameOf(way));
    Outcome outcome;
    for (const Range &range : ranges) outcome.written.push_back(memory.read(range));
    for (uint32_t arg : *dispatch.results()) outcome.answer.push_back(output(arg));
    return outcome;
  }

  Output output(uint32_t arg) const {
    Range range = place(*dispatch.args()->Get(arg));
    Output made{arg, {}, {}};
    for (const Segment &s : memory.bound(range).segments) {
      const auto bytes = std::as_bytes(std::span(s.data, s.end - s.begin));
      made.bytes.insert(made.bytes.end(), bytes.begin(), bytes.end());
      made.marks.insert(made.marks.end(), s.marks, s.marks + (s.end - s.begin));
    }
    return made;
  }

  Result<void> step(const PlannedStep &planned, Mark mark) {
    const fb::Shader &shader = *program.shaders()->Get(planned.step->shader());
    LINNET_ASSIGN(const SpirvCode code, codeOf(shader));
    watch.beginDispatch();
    for (const Part &part : planned.parts) {
      SimulatedCall call{part.groups, part.push, {}, mark};
      call.subgroup = subgroupOf(shader), call.scattered = gpu.scattered, call.watch = &watch;
      for (uint32_t b = 0; b < part.bindings.size(); ++b) {
        call.bindings.push_back(memory.bound(part.bindings[b]));
        call.bindings.back().texel_words = shader.texels() ? shader.texels()->Get(b) : 0;
      }
      Workgroup workgroup(code, call);
      const auto &g = part.groups;
      const uint32_t count = g[0] * g[1] * g[2];
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t at = gpu.scattered ? i : count - 1 - i;
        uint64_t work = kWork;
        auto ran = workgroup.run({at % g[0], at / g[0] % g[1], at / g[0] / g[1]}, work);
        done += kWork - work;
        if (!ran) return errorf("{}: {}", shader.name()->string_view(), ran.error().message);
      }
    }
    return {};
  }

  Result<SpirvCode> codeOf(const fb::Shader &shader) const {
    const std::span<const std::byte> bytes = artifact.blob(*shader.words());
    if (!change) return SpirvCode::parse(bytes);
    std::vector<uint32_t> words(bytes.size() / 4);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    change(shader.name()->string_view(), words);
    return SpirvCode::parse(std::as_bytes(std::span(words)));
  }

  uint32_t subgroupOf(const fb::Shader &shader) const {
    const Limits &limits = gpu.inventory.limits;
    const uint32_t demanded = demandedSubgroup(limits, shader.subgroup_min(), shader.subgroup_max());
    return demanded ? demanded : limits.subgroup;
  }

  Result<void> compare(const PlannedDispatch &measure, const Outcome &expected, const PlannedDispatch &way,
                       const Outcome &found) const {
    const double tolerance = std::max(choice(measure).tolerance(), choice(way).tolerance());
    std::string why = difference(dispatch, tolerance, expected.answer, found.answer);
    for (size_t i = 0; i < expected.answer.size() && why.empty(); ++i) {
      auto written = [](const Output &output, size_t word) { return output.marks[word] >= kFirstStep; };
      for (size_t word = 0; word < expected.answer[i].marks.size() && why.empty(); ++word)
        if (written(expected.answer[i], word) != written(found.answer[i], word))
          why = fmt::format("one of them writes word {} of operand {}, the other does not", word,
                            expected.answer[i].arg);
    }
    if (why.empty()) return {};
    return errorf("{}: {} beside {}: {}", gpu.inventory.name, nameOf(way), nameOf(measure), why);
  }

  const SimulatedGpu &gpu;
  const Artifact &artifact;
  const fb::Program &program;
  const fb::Dispatch &dispatch;
  Memory &memory;
  const Place &place;
  Watch &watch;
  const ShaderChange &change;
  std::vector<PlannedDispatch> ways;
  std::vector<Range> ranges;                ///< that any of them writes
  std::vector<std::vector<uint32_t>> start; ///< what they held
  uint64_t done = 0;
};

class SimulatedExecutable : public Executable {
public:
  SimulatedExecutable(const SimulatedGpu &gpu, const Artifact &artifact, const fb::Program &program,
                      const ShaderChange &change)
      : gpu(gpu), artifact(artifact), program(program), area(artifact, program), watch(gpu.unit),
        change(change) {}

  Result<void> run(int entry, std::span<const int64_t> values,
                   std::span<const std::span<const std::byte>> given,
                   const std::vector<bool> &wanted) override {
    LINNET_TRY(checkRun(artifact, program, entry, values, given, wanted));
    for (fb::Space space : {fb::Space::arena, fb::Space::input, fb::Space::output}) area.fill(space, kPoison);
    for (size_t i = 0; i < given.size(); ++i)
      area.words.fill(Memory::bufferOf(fb::Space::input), area.inputs[size_t(entry)][i], given[i]);
    symbols.assign(values.begin(), values.end());
    last_entry = entry;
    const fb::Entry &e = *program.entries()->Get(uint32_t(entry));
    const Place place = [&](const fb::Ref &ref) { return area.place(entry, ref); };
    for (const fb::Command *command : *e.commands()) {
      if (!serves(command->only_for(), wanted)) continue;
      const fb::Dispatch &dispatch = *command->body_as_Dispatch();
      LINNET_TRY(
          SimulatedDispatch(gpu, artifact, program, dispatch, area, place, watch, change).run(symbols));
    }
    return {};
  }

  Result<std::span<const std::byte>> output(int i) override {
    const fb::Port &port = *program.entries()->Get(uint32_t(last_entry))->outputs()->Get(uint32_t(i));
    const uint64_t bytes = portBytes(port, symbols);
    copy =
        area.read({Memory::bufferOf(fb::Space::output), area.outputs[size_t(last_entry)][size_t(i)], bytes});
    return std::as_bytes(std::span(copy)).first(bytes);
  }
  void resetStates() override { area.fill(fb::Space::state, 0); }
  MemoryUse memory() const override { return {}; }
  void setProfiler(std::shared_ptr<Profiler>) override {}

private:
  const SimulatedGpu gpu;
  const Artifact &artifact;
  const fb::Program &program;
  Memory area;
  Watch watch;
  const ShaderChange change;
  std::vector<int64_t> symbols;
  std::vector<uint32_t> copy;
  int last_entry = 0;
};

class SimulatedDevice : public Device {
public:
  SimulatedDevice(const SimulatedGpu &gpu, const ShaderChange &change) : gpu(gpu), change(change) {}
  std::string description(const DeviceOptions &) const override { return gpu.inventory.name; }
  DeviceKind kind() const override { return DeviceKind::Gpu; }
  Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                           const DeviceOptions &) override {
    return std::unique_ptr<Executable>(std::make_unique<SimulatedExecutable>(gpu, artifact, program, change));
  }

private:
  const SimulatedGpu gpu;
  const ShaderChange change;
};

} // namespace

std::unique_ptr<Device> simulate(const SimulatedGpu &gpu, const ShaderChange &change) {
  return std::make_unique<SimulatedDevice>(gpu, change);
}

} // namespace linnet::testing
