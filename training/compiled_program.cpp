#include "training/compiled_program.h"
#include "support/error.h"
#include "support/number_text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace linnet::training {
namespace {

constexpr const char *kEntries[] = {"accumulate", "norm", "update", "evaluate"};

const EntryInfo *entryNamed(const Graph &graph, std::string_view name) {
  for (const EntryInfo &entry : graph.entries())
    if (entry.name == name) return &entry;
  return nullptr;
}

NamedTensor scalar(const char *name, double value) {
  auto number = static_cast<float>(value);
  return {name, Tensor::fromFloats({1}, std::span(&number, 1))};
}

/// The entry's inputs, from the data of the batch.
Result<std::vector<NamedTensor>> inputsOf(const EntryInfo &entry, const Batch &batch,
                                          std::array<uint32_t, 2> key) {
  std::vector<NamedTensor> inputs;
  for (const PortInfo &port : entry.inputs) {
    bool per_token = port.shape.size() == 2;
    if (port.name == "ids")
      inputs.push_back({port.name, Tensor::fromInts({batch.rows, batch.seq}, batch.ids)});
    else if (port.name == "x")
      inputs.push_back({port.name, Tensor::fromFloats({batch.rows, port.largest[1]}, batch.features)});
    else if (port.name == "length")
      inputs.push_back({port.name, Tensor::fromInts({batch.rows}, batch.length)});
    else if (port.name == "seed")
      inputs.push_back({port.name, Tensor::fromInts({2}, std::array{std::bit_cast<int32_t>(key[0]),
                                                                    std::bit_cast<int32_t>(key[1])})});
    else if (port.name == "labels" && per_token)
      inputs.push_back({port.name, Tensor::fromInts({batch.rows, batch.seq}, batch.labels)});
    else if (port.name == "labels")
      inputs.push_back({port.name, Tensor::fromInts({batch.rows}, batch.labels)});
    else
      return errorf("entry '{}': input '{}' is none that a batch has", entry.name, port.name);
  }
  return inputs;
}

Result<std::span<const float>> outputNamed(const std::vector<NamedTensor> &outputs, std::string_view name) {
  for (const NamedTensor &output : outputs)
    if (output.name == name && output.tensor.type == ElementType::F32) return output.tensor.floats();
  return errorf("expected an output '{}' of f32, found none", name);
}

double sumOf(std::span<const float> values) {
  double sum = 0; // in order, so that the result is reproducible
  for (float value : values) sum += value;
  return sum;
}

} // namespace

Result<CompiledProgram> CompiledProgram::load(const std::string &artifact, const LoadOptions &options,
                                              const Optimizer &optimizer) {
  LINNET_ASSIGN(Graph graph, Graph::load(artifact, options));
  for (const char *name : kEntries)
    if (!entryNamed(graph, name))
      return errorf("{}: expected the entries of a training program, found no entry '{}'", artifact, name);
  CompiledProgram program(std::move(graph));
  program.optimizer = optimizer;
  for (const PortInfo &state : program.graph.states()) {
    StateInfo info{state.name, state.largest};
    if (info.name.starts_with("start."))
      program.start_states.push_back(info);
    else if (info.name.starts_with("param.") || info.name.starts_with("m.") || info.name.starts_with("v."))
      program.kept.push_back(info);
  }
  return program;
}

Result<std::vector<NamedTensor>> CompiledProgram::run(const char *name, const Batch &batch, bool scores,
                                                      uint32_t seed) {
  const EntryInfo *entry = entryNamed(graph, name);
  LINNET_ASSIGN(std::vector<NamedTensor> inputs, inputsOf(*entry, batch, {optimizer.seed, seed}));
  std::vector<std::string> wanted = {"loss"};
  for (const PortInfo &port : entry->outputs)
    if (scores && port.name == "logits") wanted.push_back(port.name);
  return graph.run(name, inputs, wanted);
}

Result<double> CompiledProgram::accumulate(const Batch &batch, uint32_t seed) {
  LINNET_ASSIGN(std::vector<NamedTensor> outputs, run("accumulate", batch, false, seed));
  LINNET_ASSIGN(std::span<const float> losses, outputNamed(outputs, "loss"));
  return sumOf(losses);
}

Result<double> CompiledProgram::gradientNorm(double scale) {
  const NamedTensor list[] = {scalar("grad_scale", scale)};
  LINNET_ASSIGN(std::vector<NamedTensor> outputs, graph.run("norm", list));
  LINNET_ASSIGN(std::span<const float> norm, outputNamed(outputs, "grad_norm"));
  return static_cast<double>(norm[0]);
}

Result<double> CompiledProgram::update(const UpdateInputs &inputs) {
  LINNET_ASSIGN(double norm, gradientNorm(inputs.grad_scale));
  if (!std::isfinite(norm)) return norm;
  constexpr double kNoZero = 1e-6; // the epsilon of PyTorch's clip_grad_norm_
  double clip = optimizer.max_norm > 0 ? std::min(1.0, optimizer.max_norm / (norm + kNoZero)) : 1;
  // Adam's bias corrections depend only on the step. They are computed in double, and are scalars in the
  // graph.
  auto step = static_cast<double>(inputs.step);
  const NamedTensor list[] = {scalar("lr", inputs.lr),
                              scalar("m_scale", 1 / (1 - std::pow(optimizer.beta1, step))),
                              scalar("v_scale", 1 / (1 - std::pow(optimizer.beta2, step))),
                              scalar("grad_scale", inputs.grad_scale * clip)};
  LINNET_TRY(graph.run("update", list));
  return norm;
}

Result<Evaluation> CompiledProgram::evaluate(const Batch &batch) {
  LINNET_ASSIGN(std::vector<NamedTensor> outputs, run("evaluate", batch, true, 0));
  LINNET_ASSIGN(std::span<const float> losses, outputNamed(outputs, "loss"));
  Evaluation found{sumOf(losses), {}};
  if (auto scores = outputNamed(outputs, "logits")) found.scores.assign(scores->begin(), scores->end());
  return found;
}

Result<std::vector<float>> CompiledProgram::read(std::string_view state) {
  LINNET_ASSIGN(Tensor tensor, graph.readState(state));
  return std::vector<float>(tensor.floats().begin(), tensor.floats().end());
}

Result<void> CompiledProgram::write(std::string_view state, std::span<const float> values) {
  return graph.writeState(state, std::as_bytes(values));
}

/// "param.blocks.0.norm.bias[3] = nan", or nothing.
Result<std::string> CompiledProgram::nonFiniteState(std::string_view prefix) {
  for (const PortInfo &state : graph.states()) {
    if (!state.name.starts_with(prefix)) continue;
    LINNET_ASSIGN(std::vector<float> values, read(state.name));
    auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    if (bad != values.end())
      return fmt::format("{}[{}] = {}", state.name, bad - values.begin(), numberText(*bad));
  }
  return std::string();
}

/// Checks the parameters first, because results of an infinite or NaN parameter are not finite either. Then
/// runs the interpreter op by op. If only this device's rounding causes the fault, it is found in the
/// device's gradients.
Result<std::string> CompiledProgram::firstNonFinite(Quantity quantity, std::span<const Replay> batches) {
  for (const char *prefix : {"param.", "m.", "v."}) {
    LINNET_ASSIGN(std::string found, nonFiniteState(prefix));
    if (!found.empty()) return found;
  }
  if (checker) {
    LINNET_ASSIGN(std::string artifact, checker());
    LINNET_ASSIGN(CompiledProgram checking, load(artifact, {.device = "reference:check"}, optimizer));
    for (const StateInfo &state : kept) {
      LINNET_ASSIGN(std::vector<float> values, read(state.name));
      LINNET_TRY(checking.write(state.name, values));
    }
    for (const Replay &replay : batches) {
      auto again = quantity == Quantity::HeldOutLoss
                       ? checking.run("evaluate", replay.batch, false, 0)
                       : checking.run("accumulate", replay.batch, false, replay.seed);
      if (!again) return again.error().message;
    }
    if (quantity == Quantity::Gradient)
      if (auto norm = checking.gradientNorm(1); !norm) return norm.error().message;
  }
  if (quantity != Quantity::Gradient) return std::string("the forward pass, on this device only");
  LINNET_ASSIGN(std::string found, nonFiniteState("grad."));
  return (found.empty() ? "the sum of the gradient's squares" : found) + ", on this device only";
}

} // namespace linnet::training
