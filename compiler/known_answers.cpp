#include "compiler/known_answers.h"

#include "backends/vulkan/simulator/workgroup.h"
#include "runtime/expr.h"
#include "runtime/vulkan/trial/answer.h"
#include "runtime/vulkan/trial/operands.h"
#include "runtime/vulkan/trial/plan.h"
#include "support/error.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <thread>

namespace linnet {
namespace {

using namespace vulkan;

// Limits in instructions times lanes, about a nanosecond each: for the last step, which may be executed in
// part, and for the steps before it.
constexpr uint64_t kWorkOfPart = uint64_t(1) << 19, kWorkOfAll = uint64_t(1) << 29;
// Limit for one workgroup of a cheap choice.
constexpr uint64_t kCheapGroup = uint64_t(1) << 20;
// The most stored words of an operand that a step writes, and the length of their runs.
constexpr size_t kMostWords = 1024, kWordsOfRun = 16;

/// The memory of a program's operands: a buffer for each space.
class Places {
public:
  explicit Places(const fb::Program &program) {
    uint64_t end = 0;
    for (const fb::Weight *weight : *program.weights()) weights.push_back(take(end, weight->blob()->size()));
    end = 0;
    for (const fb::State *state : *program.states()) states.push_back(take(end, state->bytes()));
    for (const fb::Entry *entry : *program.entries()) {
      end = 0;
      for (const fb::Port *port : *entry->inputs()) inputs[entry].push_back(take(end, port->bytes()));
      end = 0;
      for (const fb::Port *port : *entry->outputs()) outputs[entry].push_back(take(end, port->bytes()));
    }
    counters = program.counter_bytes();
  }

  Range place(const fb::Entry &entry, const fb::Ref &ref) const {
    if (ref.space() == fb::Space::counter) return {static_cast<uint32_t>(ref.space()), 0, counters};
    uint64_t base = 0;
    if (ref.space() == fb::Space::weight) base = weights[ref.index()];
    if (ref.space() == fb::Space::state) base = states[ref.index()];
    if (ref.space() == fb::Space::input) base = inputs.at(&entry)[ref.index()];
    if (ref.space() == fb::Space::output) base = outputs.at(&entry)[ref.index()];
    return {static_cast<uint32_t>(ref.space()), base + ref.offset(), ref.size()};
  }

private:
  static uint64_t take(uint64_t &end, uint64_t bytes) {
    constexpr uint64_t kAlign = 256;
    return std::exchange(end, (end + bytes + kAlign - 1) / kAlign * kAlign);
  }
  std::vector<uint64_t> weights, states;
  std::map<const fb::Entry *, std::vector<uint64_t>> inputs, outputs;
  uint64_t counters = 0;
};

/// Simulates one choice of a dispatch at one size.
class Simulation {
public:
  Simulation(const Problem &problem, const PlanContext &context, std::span<const std::byte> file,
             uint64_t work_of_group)
      : problem(problem), context(context), file(file), work_of_group(work_of_group) {}

  Result<Answer> run(const PlannedDispatch &planned) {
    if (planned.steps.size() > kMostSteps) return Error{"too many steps"};
    LINNET_TRY(layOut());
    std::set<uint32_t> written;
    for (size_t s = 0; s < planned.steps.size(); ++s) {
      const bool last = s + 1 == planned.steps.size();
      LINNET_TRY(step(planned.steps[s], static_cast<Mark>(kFirstStep + s), last));
      written.merge(writtenBy(planned.steps[s]));
    }
    Answer answer;
    for (uint32_t arg : written) answer.push_back(output(arg));
    return answer;
  }

private:
  Range placeOf(uint32_t arg) const { return context.place(*problem.dispatch.args()->Get(arg)); }
  std::span<const std::byte> blob(const fb::Blob &blob) const {
    return file.subspan(blob.offset(), blob.size());
  }

  // One area for all that the dispatch uses of a buffer, because operands may overlap.
  Result<void> layOut() {
    std::map<uint32_t, std::pair<uint64_t, uint64_t>> touched;
    for (uint32_t i = 0; i < problem.dispatch.args()->size(); ++i) {
      const fb::Ref &ref = *problem.dispatch.args()->Get(i);
      const Range range = placeOf(i);
      if (ref.space() == fb::Space::weight) {
        const fb::Weight &weight = *problem.program.weights()->Get(ref.index());
        memory.show(range.buffer, range.offset, blob(*weight.blob()).subspan(ref.offset(), ref.size()));
        continue;
      }
      const std::pair span(range.offset / 4 * 4, (range.offset + range.size + 3) / 4 * 4);
      auto [found, fresh] = touched.try_emplace(range.buffer, span);
      if (fresh) continue;
      found->second.first = std::min(found->second.first, span.first);
      found->second.second = std::max(found->second.second, span.second);
    }
    for (const auto &[buffer, span] : touched)
      if (!memory.add(buffer, span.first, span.second)) return Error{"no memory for known answers"};
    std::vector<std::byte> bytes;
    for (uint32_t i = 0; i < problem.dispatch.args()->size(); ++i)
      if (problem.fill(i, bytes)) memory.fill(placeOf(i).buffer, placeOf(i).offset, bytes);
    return {};
  }

  Result<void> step(const PlannedStep &step, Mark mark, bool last) {
    const fb::Shader &shader = *problem.program.shaders()->Get(step.step->shader());
    LINNET_ASSIGN(const SpirvCode code, SpirvCode::parse(blob(*shader.words())));
    // Shaders that need optional features are the ones on trial, so they cannot be the reference.
    if (!code.baseline) return Error{"the shader needs features that some devices lack"};
    uint64_t work = last ? kWorkOfPart : kWorkOfAll;
    bool all = true;
    for (size_t i = 0; i < step.parts.size(); ++i) {
      const Part &part = step.parts[i];
      SimulatedCall call{part.groups, part.push, {}, mark};
      for (const Range &range : part.bindings)
        call.bindings.push_back(memory.bind(range.buffer, range.offset, range.size));
      LINNET_ASSIGN(const bool whole, execute(code, call, i == 0, work));
      all &= whole;
    }
    if (!all) forgetRest(step, mark);
    return {};
  }

  // Executes workgroups from all over the problem, the last one first, up to the work limit. Returns whether
  // it executed all.
  Result<bool> execute(const SpirvCode &code, const SimulatedCall &call, bool one_at_least,
                       uint64_t &work) const {
    constexpr double kGoldenRatio = 0.618;
    const auto &g = call.groups;
    const uint64_t count = uint64_t(g[0]) * g[1] * g[2];
    uint64_t stride = std::max<uint64_t>(1, static_cast<uint64_t>(kGoldenRatio * static_cast<double>(count)));
    while (std::gcd(stride, count) != 1) ++stride;
    Workgroup workgroup(code, call);
    bool all = true;
    uint64_t dearest = 0;
    for (uint64_t i = 0, at = count - 1; i < count; ++i, at = (at + stride) % count) {
      if (work <= dearest && (i > 0 || !one_at_least)) return false;
      uint64_t left = work_of_group;
      const std::array<uint32_t, 3> number = {static_cast<uint32_t>(at % g[0]),
                                              static_cast<uint32_t>(at / g[0] % g[1]),
                                              static_cast<uint32_t>(at / g[0] / g[1])};
      LINNET_ASSIGN(const bool known, workgroup.run(number, left));
      const uint64_t done = work_of_group - left;
      work -= std::min(work, done);
      dearest = std::max(dearest, done);
      if (i == 0 && done > work / count) work = std::min(work, kWorkOfPart); // too much work to execute all
      all &= known;
    }
    return all;
  }

  // Marks the words that the step's other workgroups would have written as unknown.
  void forgetRest(const PlannedStep &step, Mark mark) {
    for (const Touch &touch : step.touches) {
      if (!touch.write) continue;
      for (const Segment &s : memory.bind(touch.range.buffer, touch.range.offset, touch.range.size).segments)
        for (uint64_t i = 0; s.marks && i < s.end - s.begin; ++i)
          if (s.marks[i] != mark) s.marks[i] = kUnknown;
    }
  }

  Output output(uint32_t arg) const {
    const Range range = placeOf(arg);
    Output made{arg, std::vector<std::byte>(problem.extentOf(arg)), {}};
    made.marks.resize((made.bytes.size() + 3) / 4);
    for (const Segment &s : memory.bind(range.buffer, range.offset, made.bytes.size() / 4 * 4).segments) {
      if (!s.marks) continue;
      std::memcpy(made.bytes.data() + s.begin * 4, s.data, (s.end - s.begin) * 4);
      std::copy_n(s.marks, s.end - s.begin, made.marks.begin() + static_cast<ptrdiff_t>(s.begin));
    }
    return made;
  }

  const Problem &problem;
  const PlanContext &context;
  const std::span<const std::byte> file;
  const uint64_t work_of_group;
  SimulatedMemory memory;
};

/// The runs of words to store, from all over `known`: a pseudo-random one of each stratum, because words at a
/// fixed distance could all be in the same column.
std::vector<uint32_t> chosen(const std::vector<uint32_t> &known) {
  if (known.size() <= kMostWords) return known;
  constexpr size_t kRuns = kMostWords / kWordsOfRun;
  constexpr uint64_t kMultiplier = 2654435761; // Knuth's multiplicative hash
  std::vector<uint32_t> words;
  for (size_t i = 0; i < kRuns; ++i) {
    const size_t begin = known.size() * i / kRuns, end = known.size() * (i + 1) / kRuns;
    const size_t room = end - begin - kWordsOfRun + 1;
    const size_t first = i + 1 == kRuns ? end - kWordsOfRun : begin + (i * kMultiplier >> 8) % room;
    words.insert(words.end(), known.begin() + static_cast<ptrdiff_t>(first),
                 known.begin() + static_cast<ptrdiff_t>(first + kWordsOfRun));
  }
  return words;
}

/// The words that the steps have written, to be stored.
std::vector<std::unique_ptr<fb::KnownWordsT>> stored(const Answer &answer, size_t steps) {
  std::vector<std::unique_ptr<fb::KnownWordsT>> list;
  for (const Output &output : answer)
    for (size_t s = 0; s < steps; ++s) {
      std::vector<uint32_t> known;
      for (size_t i = 0; (i + 1) * 4 <= output.bytes.size(); ++i)
        if (output.marks[i] == kFirstStep + s) known.push_back(static_cast<uint32_t>(i));
      if (known.empty()) continue;
      auto made = std::make_unique<fb::KnownWordsT>();
      made->arg = output.arg, made->step = static_cast<uint8_t>(s);
      for (uint32_t at : chosen(known)) {
        const bool follows = !made->runs.empty() && made->runs.end()[-2] + made->runs.back() == at;
        if (follows)
          ++made->runs.back();
        else
          made->runs.insert(made->runs.end(), {at, 1});
        std::memcpy(&made->words.emplace_back(), output.bytes.data() + size_t(at) * 4, 4);
      }
      list.push_back(std::move(made));
    }
  return list;
}

/// A problem, and the choices whose answer it gives.
struct Case {
  uint32_t entry = 0, command = 0;
  std::vector<uint32_t> choices;
  std::vector<int64_t> symbols;
};

// One case per combination of shaders, in the first dispatch that has it, because the layers of an entry are
// equal. Last choices come first; other choices share their problem if its size is in their range.
std::vector<Case> casesOf(const fb::Program &program) {
  std::vector<Case> cases;
  std::set<std::vector<uint32_t>> seen;
  auto add = [&](uint32_t entry, uint32_t command, uint32_t number) {
    const fb::Dispatch &dispatch = dispatchOf(program, entry, command);
    const fb::Choice &choice = *dispatch.choices()->Get(number);
    if (!seen.insert(shadersOf(choice)).second) return;
    const auto sizes = trialSizes(*program.entries()->Get(entry), dispatch, number);
    if (sizes.empty()) return;
    auto same = std::ranges::find_if(cases, [&](const Case &one) {
      if (one.entry != entry || one.command != command) return false;
      const int64_t amount = evaluate(choice.amount(), one.symbols);
      return amount >= choice.least() && amount <= choice.most();
    });
    if (same == cases.end()) same = cases.insert(cases.end(), Case{entry, command, {}, sizes.front()});
    same->choices.push_back(number);
  };
  forEachChoice(program, [&](uint32_t entry, uint32_t command, uint32_t choice) {
    if (choice == 0) add(entry, command, dispatchOf(program, entry, command).choices()->size() - 1);
    add(entry, command, choice);
  });
  return cases;
}

class Answering {
public:
  Answering(const fb::Program &program, std::span<const std::byte> file)
      : program(program), file(file), places(program) {
    any.name = "any device";
    any.features = {"cpu", "gpu"}; // features that need no instructions
    any.limits.bindings = any.limits.push_bytes = 256;
    any.limits.invocations = 1024, any.limits.local = {1024, 1024, 64};
    any.limits.shared_bytes = 1 << 16;
  }

  // The answer by the last choice with cheap workgroups. If there is none, the result is null, except for a
  // dispatch's last choice, because devices then compare others with it. A better choice is used if a result
  // would be unknown otherwise.
  std::unique_ptr<fb::KnownAnswerT> answer(const Case &one) const {
    const fb::Dispatch &dispatch = dispatchOf(program, one.entry, one.command);
    const uint32_t choices = dispatch.choices()->size();
    std::unique_ptr<fb::KnownAnswerT> best;
    size_t most = 0;
    for (uint64_t work_of_group : {kCheapGroup, kWorkOfAll}) {
      for (uint32_t choice = choices; choice-- > 0 && most < dispatch.results()->size();) {
        auto [known, found] = tryChoice(one, choice, work_of_group);
        if (known > most) most = known, best = std::move(found);
      }
      if (best || !std::ranges::count(one.choices, choices - 1)) break;
    }
    return best;
  }

private:
  // The number of known results, and the answer. Operands are positive if no finite result would be known
  // otherwise.
  std::pair<size_t, std::unique_ptr<fb::KnownAnswerT>> tryChoice(const Case &one, uint32_t choice,
                                                                 uint64_t work_of_group) const {
    const fb::Entry &entry = *program.entries()->Get(one.entry);
    const fb::Dispatch &dispatch = dispatchOf(program, one.entry, one.command);
    const PlanContext context = {any, program, [&](const fb::Ref &ref) { return places.place(entry, ref); }};
    const auto part = planPart(context, dispatch, one.symbols, choice);
    if (!part) return {};
    for (bool positive : {false, true}) {
      const Problem problem = {program, entry, dispatch, one.symbols, positive};
      auto found = Simulation(problem, context, file, work_of_group).run(part->planned);
      if (!found) return {};
      const size_t known = knownResults(dispatch, *found);
      if (known == 0) continue;
      auto made = std::make_unique<fb::KnownAnswerT>();
      made->entry = one.entry, made->command = one.command, made->choices = one.choices;
      made->choice = choice, made->symbols = one.symbols, made->positive = positive;
      if (part->units) made->units = part->units->part, made->of_units = part->units->all;
      made->outputs = stored(*found, part->planned.steps.size());
      return {known, std::move(made)};
    }
    return {};
  }

  const fb::Program &program;
  const std::span<const std::byte> file;
  const Places places;
  Inventory any; ///< without features: kernels that need some cannot be the reference
};

} // namespace

void addKnownAnswers(fb::ProgramT &program, std::span<const std::byte> file) {
  if (program.shaders.empty()) return;
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::Program::Pack(builder, &program));
  const fb::Program &packed = *flatbuffers::GetRoot<fb::Program>(builder.GetBufferPointer());
  const Answering answering(packed, file);
  const std::vector<Case> cases = casesOf(packed);
  std::vector<std::unique_ptr<fb::KnownAnswerT>> answers(cases.size());
  std::atomic<size_t> next = 0;
  auto work = [&] { // OpenMP's threads would spin during the last case
    for (size_t i = next++; i < cases.size(); i = next++) answers[i] = answering.answer(cases[i]);
  };
  {
    std::vector<std::jthread> helpers;
    const size_t threads = std::min<size_t>(std::thread::hardware_concurrency(), cases.size());
    for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  std::erase(answers, nullptr);
  program.known_answers = std::move(answers);
}

} // namespace linnet
