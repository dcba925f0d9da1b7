#include "lab/loaded_program.h"

#include "runtime/artifact/writer.h"
#include "support/error.h"
#include "support/scratch_directory.h"

#include <bit>
#include <cstring>

namespace linnet::lab {
namespace {

using reference::Kind;
using reference::Named;
using reference::Tensor;

fb::DType dtypeOf(Kind kind) { return fb::DType(uint8_t(kind)); }

/// Converts elements to the artifact's types and back.
std::vector<std::byte> toBytes(const Tensor &tensor) {
  const size_t n = size_t(tensor.size()), width = elementBytes(dtypeOf(tensor.kind));
  std::vector<std::byte> bytes(n * width);
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits = 0;
    if (tensor.kind == Kind::f32)
      bits = std::bit_cast<uint32_t>(tensor.data()[i]);
    else if (tensor.kind == Kind::bf16)
      bits = std::bit_cast<uint32_t>(tensor.data()[i]) >> 16;
    else if (tensor.kind == Kind::f16)
      bits = std::bit_cast<uint16_t>(_Float16(tensor.data()[i]));
    else
      bits = uint32_t(tensor.ints()[i]);
    std::memcpy(bytes.data() + i * width, &bits, width);
  }
  return bytes;
}

Tensor fromBytes(Kind kind, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  Tensor tensor = Tensor::zeros(kind, std::move(shape));
  const size_t width = elementBytes(dtypeOf(kind));
  for (size_t i = 0; i < size_t(tensor.size()); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * width, width);
    if (kind == Kind::f32)
      tensor.data()[i] = std::bit_cast<float>(bits);
    else if (kind == Kind::bf16)
      tensor.data()[i] = std::bit_cast<float>(bits << 16);
    else if (kind == Kind::f16)
      tensor.data()[i] = float(std::bit_cast<_Float16>(uint16_t(bits)));
    else
      tensor.ints()[i] = kind == Kind::i8 ? int8_t(bits) : int32_t(bits);
  }
  return tensor;
}

/// The value of a dimension, which is a number or one symbol.
int64_t dimension(const fb::Expr &expression, std::span<const int64_t> symbols) {
  int64_t value = 0;
  for (const fb::Term *term : *expression.terms()) {
    int64_t product = term->coefficient();
    for (uint8_t symbol : *term->symbols()) product *= symbols[symbol];
    value += product;
  }
  return value;
}

/// Writes the artifact. Its file is removed with the scratch directory, but its mapping stays.
Result<Artifact> write(const Lower &lower) {
  LINNET_ASSIGN(ScratchDirectory scratch, ScratchDirectory::create("linnet-program"));
  const std::string path = scratch.path() + "/program.linnet";
  LINNET_ASSIGN(ArtifactWriter writer, ArtifactWriter::create(path));
  SinkFor sink(writer);
  LINNET_ASSIGN(fb::ProgramT program, lower(sink));
  fb::MetadataT metadata;
  metadata.producer = "linnet";
  metadata.programs.push_back(std::make_unique<fb::ProgramT>(std::move(program)));
  LINNET_TRY(writer.finish(metadata));
  return Artifact::open(path);
}

} // namespace

Result<LoadedProgram> LoadedProgram::make(const Lower &lower, int threads) {
  LoadedProgram loaded;
  LINNET_ASSIGN(Artifact artifact, write(lower));
  loaded.artifact = std::make_shared<Artifact>(std::move(artifact));
  loaded.found = loaded.artifact->metadata().programs()->Get(0);
  LINNET_ASSIGN(std::unique_ptr<Device> device, openDevice(loaded.found->target()->string_view()));
  loaded.device = std::move(device);
  LINNET_ASSIGN(std::unique_ptr<Executable> executable,
                loaded.device->load(*loaded.artifact, *loaded.found, {threads}));
  loaded.executable = std::move(executable);
  return loaded;
}

Result<Named> LoadedProgram::run(std::string_view name, const Named &inputs) {
  int number = -1;
  for (uint32_t i = 0; i < found->entries()->size(); ++i)
    if (found->entries()->Get(i)->name()->string_view() == name) number = int(i);
  if (number < 0) return errorf("no entry {}", name);
  const fb::Entry &entry = *found->entries()->Get(number);
  std::vector<int64_t> symbols(entry.bounds()->begin(), entry.bounds()->end());
  std::vector<std::vector<std::byte>> data;
  for (const fb::Port *port : *entry.inputs()) {
    auto given = inputs.find(port->name()->string_view());
    if (given == inputs.end()) return errorf("no input {}", port->name()->string_view());
    for (uint32_t d = 0; d < port->shape()->size(); ++d)
      for (const fb::Term *term : *port->shape()->Get(d)->terms())
        for (uint8_t symbol : *term->symbols()) symbols[symbol] = given->second.shape[d];
    data.push_back(toBytes(given->second));
  }
  std::vector<std::span<const std::byte>> spans(data.begin(), data.end());
  LINNET_TRY(executable->run(number, symbols, spans, {}));
  Named outputs;
  for (uint32_t i = 0; i < entry.outputs()->size(); ++i) {
    const fb::Port &port = *entry.outputs()->Get(i);
    std::vector<int64_t> shape;
    for (const fb::Expr *dim : *port.shape()) shape.push_back(dimension(*dim, symbols));
    LINNET_ASSIGN(const std::span<const std::byte> bytes, executable->output(int(i)));
    outputs.emplace(port.name()->str(), fromBytes(Kind(uint8_t(port.dtype())), shape, bytes));
  }
  return outputs;
}

Result<TargetRun> runRounds(LoadedProgram &program, const Rounds &rounds) {
  TargetRun run;
  run.outcomes.resize(rounds.size());
  for (const fb::Entry *entry : *program.program().entries()) {
    program.resetStates();
    for (size_t round = 0; round < rounds.size(); ++round)
      for (const Call &call : rounds[round])
        if (call.entry == entry->name()->string_view()) {
          LINNET_ASSIGN(run.outcomes[round].values[call.entry], program.run(call.entry, call.inputs));
        }
    for (const fb::Command *command : *entry->commands())
      run.commands.push_back(command->op()->str() + " " + command->location()->str());
  }
  return run;
}

} // namespace linnet::lab
