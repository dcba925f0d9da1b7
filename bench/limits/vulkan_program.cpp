#include "bench/limits/vulkan_program.h"

#include "backends/vulkan/shader.h"

namespace bench {
namespace {

using namespace linnet;
using fb::Access;

std::unique_ptr<fb::ExprT> product(int64_t coefficient, std::vector<uint8_t> symbols = {}) {
  auto term = std::make_unique<fb::TermT>();
  term->coefficient = coefficient;
  term->symbols = std::move(symbols);
  auto expr = std::make_unique<fb::ExprT>();
  expr->terms.push_back(std::move(term));
  return expr;
}
std::unique_ptr<fb::ExprT> times() { return product(1, {0}); }

std::unique_ptr<fb::GroupsT> groups(std::unique_ptr<fb::ExprT> amount) {
  auto made = std::make_unique<fb::GroupsT>();
  made->amount = std::move(amount);
  return made;
}

std::unique_ptr<fb::RefT> ref(fb::Space space, uint64_t size) {
  auto made = std::make_unique<fb::RefT>();
  made->space = space;
  made->size = size;
  return made;
}

/// A step of shader `number` over all operands in order.
std::unique_ptr<fb::StepT> stepOf(uint32_t number, const Kernel &kernel, std::vector<Access> access) {
  auto step = std::make_unique<fb::StepT>();
  step->shader = number;
  for (uint32_t i = 0; i < access.size(); ++i) step->args.push_back(i);
  step->access = std::move(access);
  for (const vulkan::Extent &extent : kernel.push)
    step->push.push_back(product(extent.factor, extent.symbols));
  return step;
}

/// Makes one workgroup in x per chunk of operand 0, which may be larger than the device's largest binding.
void overChunks(fb::StepT &step, uint64_t bytes) {
  const auto chunks = static_cast<int64_t>(bytes / kChunk);
  step.groups.push_back(groups(product(chunks)));
  auto split = std::make_unique<fb::SplitT>();
  split->units = product(chunks);
  split->args = {0};
  split->unit_bytes = {kChunk};
  split->first = vulkan::kFirstUnit, split->count = vulkan::kFirstUnit + 1;
  split->axis = 0;
  step.splits.push_back(std::move(split));
}

/// An entry with one command of one step. Its last operand is the result.
std::unique_ptr<fb::EntryT> entryOf(const std::string &name, std::unique_ptr<fb::StepT> step,
                                    std::vector<std::unique_ptr<fb::RefT>> args, fb::DType tells) {
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = name;
  entry->bounds = {kMostGroups};
  fb::DispatchT dispatch;
  for (const auto &arg : args) {
    if (arg->space == fb::Space::arena) entry->arena_bytes = arg->size;
    if (arg->space != fb::Space::output) continue;
    auto port = std::make_unique<fb::PortT>();
    port->name = "told";
    port->dtype = tells;
    port->shape.push_back(product(kChecked));
    port->bytes = entry->io_bytes = arg->size;
    entry->outputs.push_back(std::move(port));
  }
  dispatch.results = {static_cast<uint32_t>(args.size() - 1)};
  dispatch.types.assign(args.size(), tells);
  dispatch.args = std::move(args);
  auto choice = std::make_unique<fb::ChoiceT>();
  choice->name = name;
  choice->steps.push_back(std::move(step));
  dispatch.choices.push_back(std::move(choice));
  auto command = std::make_unique<fb::CommandT>();
  command->op = command->location = name;
  command->body.Set(std::move(dispatch));
  entry->commands.push_back(std::move(command));
  return entry;
}

template <class... Refs> std::vector<std::unique_ptr<fb::RefT>> operands(Refs... refs) {
  std::vector<std::unique_ptr<fb::RefT>> list;
  (list.push_back(std::move(refs)), ...);
  return list;
}

Result<void> addShader(fb::ProgramT &program, ArtifactWriter &writer, const Kernel &kernel) {
  auto shader = std::make_unique<fb::ShaderT>(vulkan::shaderOf(kernel));
  LINNET_ASSIGN(fb::BlobT words, writer.add(std::as_bytes(std::span(kernel.words))));
  shader->words = std::make_unique<fb::BlobT>(words);
  program.shaders.push_back(std::move(shader));
  return {};
}

} // namespace

Result<std::unique_ptr<fb::ProgramT>> makeProgram(ArtifactWriter &writer, const Kernels &kernels,
                                                  uint64_t bytes) {
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "vulkan";
  program->symbols = {"times"};
  program->arena_bytes = bytes;
  constexpr uint64_t kTold = 4 * kChecked;
  LINNET_TRY(addShader(*program, writer, kernels.fill));
  auto fill = stepOf(kFill, kernels.fill, {Access::write});
  overChunks(*fill, bytes);
  program->entries.push_back(
      entryOf("fill", std::move(fill), operands(ref(fb::Space::arena, bytes)), fb::DType::i32));
  LINNET_TRY(addShader(*program, writer, kernels.read));
  auto read = stepOf(kRead, kernels.read, {Access::read, Access::write});
  overChunks(*read, bytes);
  read->groups.push_back(groups(times()));
  program->entries.push_back(entryOf("read", std::move(read),
                                     operands(ref(fb::Space::arena, bytes), ref(fb::Space::output, kTold)),
                                     fb::DType::i32));
  for (const PeakKernel &peak : kernels.peaks) {
    const auto number = static_cast<uint32_t>(program->shaders.size());
    LINNET_TRY(addShader(*program, writer, peak.kernel));
    auto step = stepOf(number, peak.kernel, {Access::write});
    step->groups.push_back(groups(times()));
    program->entries.push_back(
        entryOf(peak.kernel.name, std::move(step), operands(ref(fb::Space::output, kTold)), fb::DType::f32));
  }
  return program;
}

} // namespace bench
