#include "runtime/vulkan/host/host_answer.h"
#include "runtime/vulkan/host/workgroup.h"
#include "runtime/vulkan/trial/operands.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

namespace linnet::vulkan {
namespace {

// Instructions times lanes, about a nanosecond each: of the last step, of which a workgroup will do, and of
// those before.
constexpr uint64_t kWorkOfPart = uint64_t(8) << 20, kWorkOfAll = uint64_t(1) << 30;

using Span = std::pair<uint64_t, uint64_t>;

class HostRun {
public:
  HostRun(const Workbench &bench, const Trial &trial, const PlannedDispatch &planned)
      : bench(bench), trial(trial), dispatch(*trial.command->body_as_Dispatch()), planned(planned) {}

  Result<Answer> run() {
    if (planned.steps.size() > kMostHostSteps) return Error{"too many steps for the host"};
    LINNET_TRY(layOut());
    for (size_t s = 0; s < planned.steps.size(); ++s) LINNET_TRY(step(s));
    Answer answer;
    for (uint32_t arg : writtenBy(planned)) answer.push_back(output(arg));
    return answer;
  }

private:
  // One area for all that the dispatch touches of a buffer: operands may overlap.
  Result<void> layOut() {
    std::map<uint32_t, Span> touched;
    for (const fb::Ref *ref : *dispatch.args()) {
      const Range range = bench.place(trial.entry, *ref);
      if (ref->space() == fb::Space::weight) {
        const fb::Weight &weight = *bench.program.weights()->Get(ref->index());
        memory.show(range.buffer, range.offset,
                    bench.artifact.blob(*weight.blob()).subspan(ref->offset(), ref->size()));
        continue;
      }
      const Span span = {range.offset / 4 * 4, (range.offset + range.size + 3) / 4 * 4};
      auto [found, fresh] = touched.try_emplace(range.buffer, span);
      if (!fresh)
        found->second = {std::min(found->second.first, span.first),
                         std::max(found->second.second, span.second)};
    }
    for (const auto &[buffer, span] : touched)
      if (!memory.add(buffer, span.first, span.second)) return Error{"no memory for the host's answer"};
    std::vector<std::byte> bytes;
    for (uint32_t i = 0; i < dispatch.args()->size(); ++i) {
      if (!operandBytes(bench, trial, i, bytes)) continue;
      const Range range = bench.place(trial.entry, *dispatch.args()->Get(i));
      memory.fill(range.buffer, range.offset, bytes);
    }
    return {};
  }

  Result<void> step(size_t number) {
    const PlannedStep &step = planned.steps[number];
    const fb::Shader &shader = *bench.program.shaders()->Get(step.step->shader());
    if (step.step->constants()->size()) return Error{"the host knows no specialization constants"};
    LINNET_ASSIGN(const SpirvCode code, SpirvCode::parse(bench.artifact.blob(*shader.words())));
    // What asks for more is what trials are about: it is no measure for others.
    if (!code.baseline) return Error{"the shader asks for more than every device has"};
    const bool last = number + 1 == planned.steps.size();
    uint64_t work = last ? kWorkOfPart : kWorkOfAll;
    const Mark mark = static_cast<Mark>(kFirstStep + number);
    bool all = true;
    for (size_t i = 0; i < step.parts.size(); ++i) {
      const Part &part = step.parts[i];
      HostCall call{part.groups, part.push, {}, mark};
      for (const Range &range : part.bindings)
        call.bindings.push_back(memory.bind(range.buffer, range.offset, range.size));
      LINNET_ASSIGN(const bool whole, execute(code, call, i == 0, work));
      all &= whole;
    }
    if (!all) forgetRest(step, mark);
    return {};
  }

  // Workgroups from all over the problem, the last one first, as far as the work reaches.
  static Result<bool> execute(const SpirvCode &code, const HostCall &call, bool one_at_least,
                              uint64_t &work) {
    const auto &g = call.groups;
    const uint64_t count = uint64_t(g[0]) * g[1] * g[2];
    uint64_t stride = std::max<uint64_t>(1, static_cast<uint64_t>(0.618 * static_cast<double>(count)));
    while (std::gcd(stride, count) != 1) ++stride;
    Workgroup workgroup(code, call);
    bool all = true;
    uint64_t dearest = 0;
    for (uint64_t i = 0, at = count - 1; i < count; ++i, at = (at + stride) % count) {
      if (work <= dearest && (i > 0 || !one_at_least)) return false;
      uint64_t left = kWorkOfAll;
      LINNET_ASSIGN(const bool sure,
                    workgroup.run({static_cast<uint32_t>(at % g[0]), static_cast<uint32_t>(at / g[0] % g[1]),
                                   static_cast<uint32_t>(at / g[0] / g[1])},
                                  left));
      const uint64_t done = kWorkOfAll - left;
      work -= std::min(work, done);
      dearest = std::max(dearest, done);
      if (i == 0 && done > work / count) work = std::min(work, kWorkOfPart); // not all of it, at any rate
      all &= sure;
    }
    return all;
  }

  // What a step would have written, had all of it been done, is not known.
  void forgetRest(const PlannedStep &step, Mark mark) {
    for (const Touch &touch : step.touches) {
      if (!touch.write) continue;
      for (const Segment &s : memory.bind(touch.range.buffer, touch.range.offset, touch.range.size).segments)
        for (uint64_t i = 0; s.marks && i < s.end - s.begin; ++i)
          if (s.marks[i] != mark) s.marks[i] = kUnknown;
    }
  }

  Output output(uint32_t arg) const {
    const fb::Ref &ref = *dispatch.args()->Get(arg);
    const Range range = bench.place(trial.entry, ref);
    Output made{arg, std::vector<std::byte>(extentOf(bench, trial, ref)), {}};
    made.marks.resize((made.bytes.size() + 3) / 4);
    for (const Segment &s : memory.bind(range.buffer, range.offset, made.bytes.size() / 4 * 4).segments) {
      if (!s.marks) continue;
      std::memcpy(made.bytes.data() + s.begin * 4, s.data, (s.end - s.begin) * 4);
      std::copy_n(s.marks, s.end - s.begin, made.marks.begin() + static_cast<ptrdiff_t>(s.begin));
    }
    return made;
  }

  const Workbench &bench;
  const Trial &trial;
  const fb::Dispatch &dispatch;
  const PlannedDispatch &planned;
  HostMemory memory;
};

} // namespace

Result<Answer> hostAnswer(const Workbench &bench, const Trial &trial, const PlannedDispatch &planned) {
  return HostRun(bench, trial, planned).run();
}

} // namespace linnet::vulkan
