#include "runtime/vulkan/trial/known.h"

#include <algorithm>
#include <cstring>

namespace linnet::vulkan {
namespace {

// The part of the last step that was computed; nothing if all of it was.
std::optional<Units> unitsOf(const fb::KnownAnswer &known) {
  if (!known.of_units()) return {};
  return Units{known.of_units(), known.units()};
}

} // namespace

KnownAnswers::KnownAnswers(const fb::Program &program) : program(program) {
  if (!program.known_answers()) return;
  for (const fb::KnownAnswer *answer : *program.known_answers())
    for (uint32_t choice : *answer->choices())
      answers.try_emplace(
          shadersOf(*dispatchOf(program, answer->entry(), answer->command()).choices()->Get(choice)),
          Known{answer, choice});
}

std::optional<Trial> KnownAnswers::trial(const Workbench &bench, const std::vector<uint32_t> &shaders,
                                         const PutAside &aside) const {
  const auto found = answers.find(shaders);
  if (found == answers.end()) return {};
  const auto &[answer, number] = found->second;
  const fb::Dispatch &dispatch = dispatchOf(program, answer->entry(), answer->command());
  Trial trial{static_cast<int>(answer->entry()), &dispatch, {}, {}, answer};
  trial.plan.symbols.assign(answer->symbols()->begin(), answer->symbols()->end());
  const PlanContext context = bench.planContext(trial.entry, aside);
  if (const std::optional<Units> units = unitsOf(*answer)) {
    auto part = planPart(context, dispatch, trial.plan.symbols, number, units);
    if (!part) return {};
    trial.plan.candidate = std::move(part->planned);
  } else {
    auto whole = planExactly(context, dispatch, trial.plan.symbols, number);
    if (!whole) return {};
    trial.plan.candidate = std::move(*whole);
  }
  trial.plan.reference.choice = answer->choice();
  for (const fb::Step *step : *dispatch.choices()->Get(answer->choice())->steps())
    trial.plan.reference.steps.push_back({step, {}, {}});
  return trial;
}

Answer knownAnswer(const fb::Program &program, const Trial &trial) {
  const Problem problem = trial.problem(program);
  Answer answer;
  for (const fb::KnownWords *known : *trial.known->outputs()) {
    auto output = std::ranges::find(answer, known->arg(), &Output::arg);
    if (output == answer.end()) {
      answer.push_back({known->arg(), std::vector<std::byte>(problem.extentOf(known->arg())), {}});
      output = answer.end() - 1;
      output->marks.resize((output->bytes.size() + 3) / 4);
    }
    uint32_t next = 0;
    for (uint32_t r = 0; r + 1 < known->runs()->size(); r += 2)
      for (uint64_t word = known->runs()->Get(r), i = 0; i < known->runs()->Get(r + 1); ++i, ++word, ++next) {
        const uint32_t value = known->words()->Get(next);
        if (word * 4 + 4 > output->bytes.size()) continue;
        std::memcpy(output->bytes.data() + word * 4, &value, 4);
        output->marks[word] = static_cast<Mark>(kFirstStep + known->step());
      }
  }
  return answer;
}

} // namespace linnet::vulkan
