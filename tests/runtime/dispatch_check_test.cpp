// Checks that reading an artifact checks its records of shaders and dispatches.
#include "runtime/artifact/artifact.h"
#include "support/error.h"
#include "tests/catch.h"
#include "tests/runtime/gpu_artifact.h"

#include <functional>

using namespace fixtures;

namespace {

const std::vector<uint32_t> kMain = {5 << 16 | 15, 5, 1, 0x6e69616d, 0}; // OpEntryPoint GLCompute %1 "main"

std::vector<uint32_t> spirv(const std::vector<std::vector<uint32_t>> &instructions) {
  std::vector<uint32_t> words = {0x07230203, 0x00010300, 0, 8, 0};
  for (const auto &instruction : instructions)
    words.insert(words.end(), instruction.begin(), instruction.end());
  return words;
}

// A weight split by rows, an input, an output; two choices.
std::string writeWith(const std::string &path, const std::function<void(fb::ProgramT &)> &edit,
                      std::vector<uint32_t> words = spirv({kMain})) {
  auto writer = ArtifactWriter::create(path);
  REQUIRE(writer.ok());
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "vulkan";
  program->symbols = {"batch"};
  program->arena_bytes = 1024;
  program->shaders.push_back(shader(*writer, "rows", words, 3, 3));
  auto weight = std::make_unique<fb::WeightT>();
  weight->name = "w";
  weight->shape = {10, 16};
  weight->blob = std::make_unique<fb::BlobT>(*writer->add(std::vector<std::byte>(640)));
  program->weights.push_back(std::move(weight));
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "main";
  entry->bounds = {4};
  entry->io_bytes = 1024;
  entry->arena_bytes = 1024;
  entry->inputs.push_back(port("x", fb::DType::i32, shape(symbol(0)), 0, 16));
  entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(16)), 64, 256));
  fb::DispatchT dispatch;
  dispatch.args.push_back(ref(fb::Space::weight, 0, 0, 640));
  dispatch.args.push_back(ref(fb::Space::input, 0, 0, 16));
  dispatch.args.push_back(ref(fb::Space::output, 0, 0, 256));
  dispatch.types = {fb::DType::f32, fb::DType::i32, fb::DType::f32};
  dispatch.results = {2};
  for (const char *name : {"fast", "plain"}) {
    auto made = step(0, {fb::Access::read, fb::Access::read, fb::Access::write}, symbol(0, 16));
    auto split = std::make_unique<fb::SplitT>();
    split->units = constant(10);
    split->args = {0};
    split->unit_bytes = {64};
    split->first = 1;
    split->count = 2;
    made->splits.push_back(std::move(split));
    dispatch.choices.push_back(choice(name, std::move(made)));
  }
  auto command = std::make_unique<fb::CommandT>();
  command->op = "linnet.embed";
  command->body.Set(std::move(dispatch));
  entry->commands.push_back(std::move(command));
  program->entries.push_back(std::move(entry));
  edit(*program);
  fb::MetadataT metadata;
  metadata.programs.push_back(std::move(program));
  auto written = writer->finish(metadata);
  if (!written) return written.error().message;
  auto read = Artifact::open(path);
  return read ? "" : read.error().message;
}

} // namespace

TEST_CASE("each claim of a GPU program is checked") {
  TemporaryDirectory directory;
  using P = fb::ProgramT;
  auto dispatch = [](P & p) -> auto & { return *p.entries[0]->commands[0]->body.AsDispatch(); };
  auto first = [&](P & p) -> auto & { return *dispatch(p).choices[0]->steps[0]; };
  struct Case {
    std::function<void(P &)> edit;
    const char *error;
  };
  const Case cases[] = {
      {[](P &p) { p.shaders.clear(); }, "shader 0 of 0"},
      {[](P &p) { p.shaders[0]->words->size = 18; }, "shader 'rows': 18 bytes are no SPIR-V"},
      {[](P &p) { p.shaders[0]->words->size = uint64_t(1) << 20; }, "lies outside"},
      {[](P &p) { p.shaders[0]->local_x = 0; }, "a local size of 0"},
      {[](P &p) { p.shaders[0]->local_x = p.shaders[0]->local_y = 512; }, "more than 65536 invocations"},
      {[](P &p) { p.shaders[0]->subgroup_min = 8; }, "subgroups from 8 to 0"},
      {[](P &p) { p.shaders[0]->bindings = 4; }, "has 4 bindings, 3 arguments are given"},
      {[](P &p) {
         p.shaders[0]->texels = {4, 0};
       },
       "3 bindings with 2 sizes of texels"},
      {[](P &p) {
         p.shaders[0]->texels = {4, 3, 0};
       },
       "texels of 3 words"},
      {[](P &p) {
         p.shaders[0]->loops = {{-1, 1, 2, fb::LoopBy::number, 0}, {1, 1, 2, fb::LoopBy::number, 0}};
       },
       "shader 'rows': loop 1 is in loop 1, in steps of 1, by 0 2"},
      {[](P &p) {
         p.shaders[0]->loops = {{-1, 0, 2, fb::LoopBy::x, 0}};
       },
       "loop 0 is in loop -1, in steps of 0"},
      {[](P &p) {
         p.shaders[0]->loops = {{-1, 1, 3, fb::LoopBy::push, 0}};
       },
       "in steps of 1, by 1 3"},
      {[](P &p) {
         p.shaders[0]->loops = {{-1, 1, 3, static_cast<fb::LoopBy>(9), 0}};
       },
       "in steps of 1, by 9 3"},
      {[](P &p) {
         p.shaders[0]->loops.assign(257, {-1, 1, 1, fb::LoopBy::number, 0});
       },
       "shader 'rows': 257 loops"},
      {[](P &p) {
         p.shaders[0]->texels = {4, 1, 2};
       },
       "argument 2: writes to texels"},
      {[&](P &p) {
         p.shaders[0]->texels = {0, 0, 0}, p.shaders[0]->bindings = 1, p.shaders[0]->texels.resize(1);
         first(p).bind = {0, 0, 0};
       },
       "texels in shared bindings"},
      {[](P &p) { p.shaders[0]->push_words = 0; }, "1 push words of 0"},
      {[](P &p) { p.shaders[0]->push_words = 2; }, "a split's push words 1 and 2 of 2"},
      {[&](P &p) { p.entries[0]->commands[0]->body.Set(fb::KernelCallT()); }, "has dispatches only"},
      {[&](P &p) { dispatch(p).args[2]->offset = 64, dispatch(p).args[2]->size = 64; },
       "operand 2: offset 64 is not a multiple of 256"},
      {[&](P &p) { dispatch(p).args[1]->size = 0; }, "operand 1 is empty"},
      {[&](P &p) { dispatch(p).args[0]->size = 641; }, "[0, +641) lies outside weight 0 of 640 bytes"},
      {[&](P &p) { dispatch(p).types.pop_back(); }, "3 operands with 2 types"},
      {[&](P &p) { dispatch(p).types[0] = static_cast<fb::DType>(99); }, "operand 0: unknown element type"},
      {[&](P &p) { dispatch(p).results = {1}; }, "argument 1 is a result and not written"},
      {[&](P &p) { dispatch(p).results = {7}; }, "result 7 of 3"},
      {[&](P &p) { dispatch(p).choices.clear(); }, "0 choices"},
      {[&](P &p) { dispatch(p).choices[1]->steps.clear(); }, "choice 'plain': 0 steps"},
      {[&](P &p) { dispatch(p).choices[0]->tolerance = 2; }, "choice 'fast': a tolerance of 2"},
      {[&](P &p) { dispatch(p).choices[0]->amount = symbol(4); }, "amount has no value"},
      {[&](P &p) { first(p).args[0] = 3; }, "argument 3 of 3"},
      {[&](P &p) { first(p).access[0] = fb::Access::read_write; }, "argument 0: writes to weight"},
      {[&](P &p) { first(p).access[1] = static_cast<fb::Access>(4); }, "argument 1: unknown access 4"},
      {[&](P &p) { first(p).access.pop_back(); }, "3 arguments with 2 kinds of access"},
      {[&](P &p) { first(p).push[0] = symbol(0, int64_t(1) << 40); }, "does not fit in 31 bits"},
      {[&](P &p) { first(p).groups[0]->per = 0; }, "workgroups of 0 units"},
      {[&](P &p) { first(p).splits[0]->units = constant(11); }, "a split of 11 units of 64 bytes"},
      {[&](P &p) { first(p).splits[0]->unit_bytes = {6}; }, "a split of 10 units of 6 bytes"},
      {[&](P &p) { first(p).splits[0]->axis = 1; }, "a split along axis 1 of 1"},
      {[&](P &p) { first(p).splits[0]->args = {5}; }, "a split of argument 5"},
      {[&](P &p) {
         first(p).bind = {0, 1};
       },
       "3 arguments with 2 bindings"},
      {[&](P &p) {
         first(p).bind = {0, 1, 1};
       },
       "nothing is bound at 2"},
      {[&](P &p) {
         first(p).bind = {0, 1, 2}, first(p).offsets = 1;
       },
       "push words [1, +3) of 3"},
  };
  CHECK(writeWith(directory / "good.linnet", [](P &) {}) == "");
  for (const Case &c : cases) {
    std::string error = writeWith(directory / "bad.linnet", c.edit);
    CAPTURE(error, c.error);
    CHECK(error.find(c.error) != std::string::npos);
  }
  std::vector<uint32_t> vertex = kMain, other = kMain, long_name = kMain, endless = kMain, empty = kMain;
  vertex[1] = 0, other[3] = 0x6e69616e, long_name[4] = 1, endless[0] += 1 << 16, empty[0] = 15;
  const std::pair<std::vector<uint32_t>, const char *> modules[] = {
      {{77, 0x00010300, 0, 8, 0}, "shader rows is no SPIR-V"},
      {spirv({}), "shader rows has no compute shader 'main'"},
      {spirv({vertex}), "shader rows has no compute shader 'main'"},
      {spirv({other, long_name}), "shader rows has no compute shader 'main'"},
      {spirv({kMain, endless}), "shader rows ends within the instruction at word 10"},
      {spirv({kMain, empty}), "shader rows ends within the instruction at word 10"},
  };
  for (const auto &[words, message] : modules) {
    std::string error = writeWith(
        directory / "words.linnet", [](P &) {}, words);
    CAPTURE(error, message);
    CHECK(error.find(message) != std::string::npos);
  }
  CHECK(writeWith(
            directory / "words.linnet", [](P &) {}, spirv({other, kMain})) == "");
}

TEST_CASE("each claim of a known answer is checked") {
  TemporaryDirectory directory;
  auto write = [&](const std::function<void(fb::KnownAnswerT &)> &edit) {
    return writeWith(directory / "a.linnet", [&](fb::ProgramT &program) {
      auto known = std::make_unique<fb::KnownAnswerT>();
      known->choices = {0, 1}, known->choice = 1, known->symbols = {2};
      auto words = std::make_unique<fb::KnownWordsT>();
      words->arg = 2, words->runs = {0, 3, 62, 2}, words->words = {1, 2, 3, 4, 5};
      known->outputs.push_back(std::move(words));
      edit(*known);
      program.known_answers.push_back(std::move(known));
    });
  };
  using K = fb::KnownAnswerT;
  const std::pair<std::function<void(K &)>, const char *> cases[] = {
      {[](K &k) { k.entry = 1; }, "program 'vulkan': known answer 0: entry 1 of 1"},
      {[](K &k) { k.command = 1; }, "command 1 of 1"},
      {[](K &k) {
         k.choices = {0, 2};
       },
       "choice 2 of 2"},
      {[](K &k) { k.choice = 2; }, "choice 2 of 2"},
      {[](K &k) { k.symbols.clear(); }, "0 sizes of 1"},
      {[](K &k) { k.symbols = {0}; }, "size 0 lies outside [1, 4]"},
      {[](K &k) { k.symbols = {5}; }, "size 5 lies outside [1, 4]"},
      {[](K &k) { k.outputs.clear(); }, "known answer 0: no words"},
      {[](K &k) { k.outputs[0]->arg = 3; }, "operand 3 of 3"},
      {[](K &k) { k.outputs[0]->step = 1; }, "step 1 of 1"},
      {[](K &k) { k.outputs[0]->runs.pop_back(); }, "3 numbers of runs"},
      {[](K &k) { k.outputs[0]->runs[2] = 63; }, "words [63, +2) of 64"},
      {[](K &k) { k.outputs[0]->words.pop_back(); }, "4 words of 5"},
  };
  CHECK(write([](K &) {}) == "");
  for (const auto &[edit, message] : cases) {
    const std::string error = write(edit);
    CAPTURE(error, message);
    CHECK(error.find(message) != std::string::npos);
  }
}
