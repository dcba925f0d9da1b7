#include "runtime/decoder.h"
#include "runtime/language_runner.h"
#include "support/error.h"

#include <algorithm>
#include <limits>

namespace linnet {

Result<void> Decoder::prepare(const LanguageEntry &entry) {
  const int token = entry.output("token");
  if (likeliest || token < 0 || entry.past < 0) return {};
  LINNET_ASSIGN(
      likeliest,
      executable.makeLoop({{entry.index}, {{{0, token}, {0, entry.ids}}}, {{0, entry.past}}, {{0, token}}}));
  if (!likeliest) return {};
  const auto batch = static_cast<size_t>(entry.max_batch), most = static_cast<size_t>(likeliest->mostSteps());
  later_past.reserve(batch * most);
  LINNET_ASSIGN(auto found, bindSample(entry));
  if (!found) return {};
  sample = *found;
  positions.reserve(batch * most);
  for (auto *list : {&top_k, &copies}) list->reserve(batch);
  for (auto *list : {&temperature, &top_p}) list->reserve(batch);
  const auto &e = *program.entries()->Get(static_cast<uint32_t>(sample.index));
  symbols.assign(e.bounds()->begin(), e.bounds()->end());
  inputs.resize(e.inputs()->size());
  const LoopSpec::Carry logits = {{0, entry.output("logits")}, {1, sample.logits}};
  const LoopSpec::Carry chosen = {{1, sample.token}, {0, entry.ids}};
  LINNET_ASSIGN(drawing, executable.makeLoop({{entry.index, sample.index},
                                              {logits, chosen},
                                              {{0, entry.past}, {1, sample.position}},
                                              {{1, sample.token}}}));
  return {};
}

Result<std::optional<Decoder::SampleEntry>> Decoder::bindSample(const LanguageEntry &entry) const {
  SampleEntry bound;
  for (uint32_t i = 0; i < program.entries()->size(); ++i)
    if (program.entries()->Get(i)->name()->string_view() == "sample") bound.index = static_cast<int>(i);
  if (bound.index < 0 || entry.output("logits") < 0) return std::optional<SampleEntry>();
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(bound.index));
  auto bind = [&](auto &ports, const char *name, int &to, fb::DType type, size_t rank) -> Result<void> {
    for (uint32_t i = 0; i < ports.size(); ++i) {
      const fb::Port &port = *ports.Get(i);
      if (port.name()->string_view() != name) continue;
      if (port.dtype() != type || port.shape()->size() != rank)
        return errorf("{}: entry 'sample': '{}': expected {} of {} dimensions, found {} of {}",
                      artifact.path(), name, dtypeName(type), rank, dtypeName(port.dtype()),
                      port.shape()->size());
      to = static_cast<int>(i);
      return {};
    }
    return errorf("{}: entry 'sample' has no '{}'", artifact.path(), name);
  };
  LINNET_TRY(bind(*e.inputs(), "logits", bound.logits, fb::DType::f32, 2));
  LINNET_TRY(bind(*e.inputs(), "temperature", bound.temperature, fb::DType::f32, 1));
  LINNET_TRY(bind(*e.inputs(), "top_k", bound.top_k, fb::DType::i32, 1));
  LINNET_TRY(bind(*e.inputs(), "top_p", bound.top_p, fb::DType::f32, 1));
  LINNET_TRY(bind(*e.inputs(), "seed", bound.seed, fb::DType::i32, 1));
  LINNET_TRY(bind(*e.inputs(), "position", bound.position, fb::DType::i32, 1));
  LINNET_TRY(bind(*e.inputs(), "copy", bound.copy, fb::DType::i32, 1));
  LINNET_TRY(bind(*e.outputs(), "token", bound.token, fb::DType::i32, 1));
  if (e.inputs()->size() != 7)
    return errorf("{}: entry 'sample': expected 7 inputs, found {}", artifact.path(), e.inputs()->size());
  return std::optional(bound);
}

// A token's position is the number of tokens before it: the cached ones and the one that is fed.
void Decoder::bindDraw(const LanguageEntry &entry, const Draw &draw, std::span<const int32_t> past,
                       int64_t steps) {
  const size_t batch = past.size();
  symbols[static_cast<size_t>(entry.batch_symbol)] = static_cast<int64_t>(batch);
  temperature.assign(batch, draw.temperature);
  top_p.assign(batch, draw.top_p);
  top_k.assign(batch,
               static_cast<int32_t>(std::min<int64_t>(draw.top_k, std::numeric_limits<int32_t>::max())));
  seed[0] = static_cast<int32_t>(draw.seed), seed[1] = static_cast<int32_t>(draw.seed >> 32);
  copies.assign(draw.copies.begin(), draw.copies.end());
  positions.clear();
  for (int64_t step = 0; step < steps; ++step)
    for (int32_t tokens : past) positions.push_back(static_cast<int32_t>(tokens + step + 1));
  auto set = [&](int input, auto &values) {
    inputs[static_cast<size_t>(input)] = std::as_bytes(std::span(values));
  };
  set(sample.temperature, temperature);
  set(sample.top_p, top_p);
  set(sample.top_k, top_k);
  set(sample.seed, seed);
  set(sample.copy, copies);
  inputs[static_cast<size_t>(sample.position)] = std::as_bytes(std::span(positions).first(batch));
}

Result<std::span<const int32_t>> Decoder::run(const LanguageEntry &entry, const LoopInputs &first,
                                              std::span<const int32_t> past, int64_t steps,
                                              const Draw *draw) {
  later_past.clear();
  for (int64_t step = 1; step < steps; ++step)
    for (int32_t tokens : past)
      later_past.push_back(static_cast<int32_t>(std::min(tokens + step, entry.context - 1)));
  const LoopInputs given[] = {first, {symbols, inputs}};
  std::span<const std::byte> in_tables[] = {std::as_bytes(std::span(later_past)), {}};
  if (draw) {
    bindDraw(entry, *draw, past, steps);
    in_tables[1] = std::as_bytes(std::span(positions).subspan(past.size()));
  }
  Loop &loop = draw ? *drawing : *likeliest;
  const size_t entries = draw ? 2 : 1;
  LINNET_TRY(loop.run(steps, std::span(given).first(entries), std::span(in_tables).first(entries)));
  LINNET_ASSIGN(auto bytes, loop.history(0));
  return std::span(reinterpret_cast<const int32_t *>(bytes.data()), bytes.size() / sizeof(int32_t));
}

} // namespace linnet
