#include "runtime/language_runner.h"
#include "support/error.h"

#include <algorithm>

namespace linnet {
namespace {

// Checks that an input is i32 of shape (batch, seq) or (batch).
Result<void> checkInput(const Artifact &artifact, const fb::Entry &entry, const fb::Port &port,
                        uint32_t rank) {
  if (port.dtype() == fb::DType::i32 && port.shape()->size() == rank) return {};
  return errorf("{}: entry '{}': input '{}': expected i32 of {} dimensions, found {} of {}", artifact.path(),
                entry.name()->string_view(), port.name()->string_view(), rank, dtypeName(port.dtype()),
                port.shape()->size());
}

Result<void> bindInputs(const Artifact &artifact, const fb::Entry &entry, LanguageEntry &bound) {
  for (uint32_t i = 0; i < entry.inputs()->size(); ++i) {
    const fb::Port &port = *entry.inputs()->Get(i);
    auto name = port.name()->string_view();
    int number = static_cast<int>(i);
    if (name == "ids")
      bound.ids = number;
    else if (name == "past")
      bound.past = number;
    else if (name == "length")
      bound.length = number;
    else
      return errorf("{}: entry '{}': unknown input '{}'", artifact.path(), entry.name()->string_view(), name);
    LINNET_TRY(checkInput(artifact, entry, port, name == "ids" ? 2 : 1));
  }
  if (bound.ids < 0)
    return errorf("{}: entry '{}' has no input 'ids'", artifact.path(), entry.name()->string_view());
  return {};
}

Result<void> bindSymbols(const Artifact &artifact, const fb::Program &program, const fb::Entry &entry,
                         LanguageEntry &bound) {
  bound.symbols.assign(entry.bounds()->begin(), entry.bounds()->end());
  for (uint32_t i = 0; i < program.symbols()->size(); ++i) {
    auto name = program.symbols()->Get(i)->string_view();
    if (name == "batch") bound.batch_symbol = static_cast<int>(i);
    if (name == "seq") bound.seq_symbol = static_cast<int>(i);
    if (name == "context") bound.context = bound.symbols[i];
  }
  if (bound.batch_symbol < 0 || bound.seq_symbol < 0 || bound.context == 0)
    return errorf("{}: expected the symbols batch, seq and context", artifact.path());
  bound.max_batch = bound.symbols[static_cast<size_t>(bound.batch_symbol)];
  bound.max_seq = bound.symbols[static_cast<size_t>(bound.seq_symbol)];
  if (bound.max_batch * bound.max_seq > (int64_t(1) << 31) || bound.context > (int64_t(1) << 30))
    return errorf("{}: entry '{}': absurd bounds", artifact.path(), entry.name()->string_view());
  return {};
}

} // namespace

Result<LanguageEntry> bindLanguageEntry(const Artifact &artifact, const fb::Program &program,
                                        std::string_view name) {
  LanguageEntry bound;
  for (uint32_t i = 0; i < program.entries()->size(); ++i)
    if (program.entries()->Get(i)->name()->string_view() == name) bound.index = static_cast<int>(i);
  if (bound.index < 0) return errorf("{}: has no entry '{}'", artifact.path(), name);
  const fb::Entry &entry = *program.entries()->Get(static_cast<uint32_t>(bound.index));
  LINNET_TRY(bindInputs(artifact, entry, bound));
  LINNET_TRY(bindSymbols(artifact, program, entry, bound));
  for (uint32_t i = 0; i < entry.outputs()->size(); ++i) {
    bound.last_output = entry.outputs()->Get(i)->name()->str();
    bound.outputs.emplace(bound.last_output, static_cast<int>(i));
  }
  return bound;
}

Result<const LanguageEntry *> LanguageRunner::entry(std::string_view name) {
  if (auto found = bound.find(name); found != bound.end()) return &found->second;
  LINNET_ASSIGN(LanguageEntry made, bindLanguageEntry(artifact, program, name));
  ids.reserve(static_cast<size_t>(made.max_batch * made.max_seq));
  past.reserve(static_cast<size_t>(made.max_batch));
  length.reserve(static_cast<size_t>(made.max_batch));
  return &bound.emplace(name, std::move(made)).first->second;
}

// A sequence of one token is computed as a generated token, a longer one as a prompt. A prompt of one token is
// padded to two where there is room.
static size_t leastSequence(const LanguageEntry &entry, std::span<const RowChunk> rows, bool prompt) {
  constexpr size_t kPrompt = 2;
  const bool room = std::all_of(rows.begin(), rows.end(), [&](const RowChunk &row) {
    return row.past + static_cast<int64_t>(kPrompt) <= entry.context;
  });
  return prompt && room && entry.length >= 0 && entry.max_seq >= static_cast<int64_t>(kPrompt) ? kPrompt : 1;
}

void LanguageRunner::bindRows(const LanguageEntry &entry, std::span<const RowChunk> rows, size_t least_seq) {
  size_t seq = least_seq;
  for (const RowChunk &row : rows) seq = std::max(seq, row.ids.size());
  ids.assign(rows.size() * seq, 0);
  past.clear();
  length.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].ids.begin(), rows[i].ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(i * seq));
    past.push_back(static_cast<int32_t>(rows[i].past));
    length.push_back(static_cast<int32_t>(rows[i].ids.size()));
  }
  symbols.assign(entry.symbols.begin(), entry.symbols.end());
  symbols[static_cast<size_t>(entry.batch_symbol)] = static_cast<int64_t>(rows.size());
  symbols[static_cast<size_t>(entry.seq_symbol)] = static_cast<int64_t>(seq);
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(entry.index));
  inputs.assign(e.inputs()->size(), {});
  inputs[static_cast<size_t>(entry.ids)] = std::as_bytes(std::span(ids));
  if (entry.past >= 0) inputs[static_cast<size_t>(entry.past)] = std::as_bytes(std::span(past));
  if (entry.length >= 0) inputs[static_cast<size_t>(entry.length)] = std::as_bytes(std::span(length));
}

Result<void> LanguageRunner::run(const LanguageEntry &entry, std::span<const RowChunk> rows, bool prompt,
                                 int output, int also) {
  bindRows(entry, rows, leastSequence(entry, rows, prompt));
  wanted.assign(program.entries()->Get(static_cast<uint32_t>(entry.index))->outputs()->size(), false);
  for (int number : {output, also})
    if (number >= 0) wanted[static_cast<size_t>(number)] = true;
  if (profiler) { // attention reads the cache up to the longest row's end, not its capacity
    int64_t used = 0;
    const int64_t seq = symbols[static_cast<size_t>(entry.seq_symbol)];
    for (const RowChunk &row : rows) used = std::max(used, row.past + seq);
    profiler->setExtent("context", used);
  }
  return executable->run(entry.index, symbols, inputs, wanted);
}

Result<std::span<const int32_t>> LanguageRunner::decode(const LanguageEntry &entry,
                                                        std::span<const RowChunk> rows, int64_t steps,
                                                        const Draw *draw) {
  bindRows(entry, rows);
  return decoder.run(entry, {symbols, inputs}, past, steps, draw);
}

void LanguageRunner::setProfiler(std::shared_ptr<Profiler> p) {
  profiler = std::move(p);
  executable->setProfiler(profiler);
}

Result<std::vector<uint16_t>> LanguageRunner::halvesOfState(std::string_view name) {
  for (const fb::State *state : *program.states()) {
    if (state->name()->string_view() != name || state->dtype() != fb::DType::f16) continue;
    std::vector<uint16_t> halves(state->bytes() / sizeof(uint16_t));
    LINNET_TRY(executable->readState(name, std::as_writable_bytes(std::span(halves))));
    return halves;
  }
  return errorf("{}: no state '{}' of f16", artifact.path(), name);
}

Result<std::span<const float>> LanguageRunner::floats(int output) {
  LINNET_ASSIGN(auto bytes, executable->output(output));
  return std::span(reinterpret_cast<const float *>(bytes.data()), bytes.size() / sizeof(float));
}

Result<std::span<const float>> LanguageRunner::floats(int output, size_t count) {
  LINNET_ASSIGN(auto all, floats(output));
  if (all.size() < count)
    return errorf("output {}: expected {} numbers, found {}", output, count, all.size());
  return all.first(count);
}

Result<std::span<const int32_t>> LanguageRunner::ints(int output) {
  LINNET_ASSIGN(auto bytes, executable->output(output));
  return std::span(reinterpret_cast<const int32_t *>(bytes.data()), bytes.size() / sizeof(int32_t));
}

} // namespace linnet
