// Known answers as the compiler stores them: the right numbers, at sizes that the choices are for.
#include "runtime/vulkan/trial/operands.h"
#include "tests/vulkan/variants.h"

#include <bit>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

std::vector<float> operand(const Problem &problem, uint32_t arg) {
  std::vector<std::byte> bytes;
  REQUIRE(problem.fill(arg, bytes));
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

} // namespace

TEST_CASE("each dispatch with shaders of its own has an answer for all of its choices") {
  TemporaryDirectory directory;
  writeVariants(directory / "a.linnet");
  const Artifact artifact = opened(directory / "a.linnet");
  const fb::Program &program = *artifact.program("vulkan");
  REQUIRE(program.known_answers()->size() == 2);
  const fb::KnownAnswer &affine = *program.known_answers()->Get(0);
  const fb::Entry &entry = *program.entries()->Get(0);
  CHECK(affine.command() == 0);
  CHECK(affine.choice() == 2);
  CHECK(std::vector<uint32_t>(affine.choices()->begin(), affine.choices()->end()) ==
        std::vector<uint32_t>{2, 0, 1}); // the last choice first
  REQUIRE(affine.symbols()->size() == 1);
  const auto rows = static_cast<uint32_t>(affine.symbols()->Get(0));
  CHECK(rows == 2);

  const Problem problem = {
      program, entry, *entry.commands()->Get(0)->body_as_Dispatch(), {rows}, affine.positive()};
  const std::vector<float> x = operand(problem, 0);
  REQUIRE(affine.outputs()->size() == 1);
  const fb::KnownWords &y = *affine.outputs()->Get(0);
  CHECK((y.arg() == 2 && y.step() == 0));
  CHECK(std::vector<uint32_t>(y.runs()->begin(), y.runs()->end()) == std::vector<uint32_t>{0, rows * 8});
  for (uint32_t i = 0; i < y.words()->size(); ++i)
    CHECK(std::bit_cast<float>(y.words()->Get(i)) == 2 * x[i] + static_cast<float>(i) / 4);

  // The sum writes a state and an output.
  CHECK(program.known_answers()->Get(1)->outputs()->size() == 2);
}

TEST_CASE("of a large result some words from all over are stored") {
  TemporaryDirectory directory;
  auto writer = std::move(*ArtifactWriter::create(directory / "a.linnet"));
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "vulkan";
  program->shaders.push_back(shader(writer, "affine", affine(), 3, 1));
  constexpr int64_t kNumbers = 40'000;
  addQuarters(writer, *program, kNumbers);
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->io_bytes = 2 * kNumbers * 4 + 512;
  entry->inputs.push_back(port("x", fb::DType::f32, shape(constant(kNumbers)), 0, kNumbers * 4));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(constant(kNumbers)), 160'256, kNumbers * 4));
  fb::DispatchT dispatch;
  dispatch.args.push_back(ref(fb::Space::input, 0, 0, kNumbers * 4));
  dispatch.args.push_back(ref(fb::Space::weight, 0, 0, kNumbers * 4));
  dispatch.args.push_back(ref(fb::Space::output, 0, 0, kNumbers * 4));
  using A = fb::Access;
  dispatch.choices.push_back(choice("plain", step(0, {A::read, A::read, A::write}, constant(kNumbers))));
  addDispatch(*entry, std::move(dispatch));
  program->entries.push_back(std::move(entry));
  linnet::addKnownAnswers(*program, writer.blobs()->bytes());
  REQUIRE(program->known_answers.size() == 1);
  const fb::KnownWordsT &words = *program->known_answers[0]->outputs.at(0);
  CHECK(words.words.size() == 1024);
  REQUIRE(words.runs.size() >= 64);
  CHECK(words.runs.front() < kNumbers / 64);
  CHECK(words.runs.end()[-2] + words.runs.back() == kNumbers);
}
