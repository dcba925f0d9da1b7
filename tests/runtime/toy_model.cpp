// A language model or classifier as an artifact, and the device that plays it.
#include "runtime/artifact/format.h"
#include "runtime/run_check.h"
#include "runtime/sampler.h"
#include "runtime/state_rows.h"
#include "support/error.h"
#include "support/json.h"
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace fixtures {

Tokenizer byteTokenizer() {
  // GPT-2's spelling of bytes: printable ones are themselves, the others are U+0100 and up in order.
  TokenizerParts parts;
  int next = 256;
  for (int b = 0; b < 256; ++b) {
    bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
    int point = printable ? b : next++;
    std::string spelling;
    if (point < 0x80) {
      spelling = static_cast<char>(point);
    } else {
      spelling += static_cast<char>(0xC0 | point >> 6);
      spelling += static_cast<char>(0x80 | (point & 0x3F));
    }
    parts.tokens.push_back(spelling);
  }
  parts.added.push_back({.content = "<|endoftext|>", .id = 256, .special = true});
  parts.eos = 256;
  auto tokenizer = Tokenizer::fromParts(parts);
  REQUIRE(tokenizer.ok());
  return *tokenizer;
}

namespace {

constexpr uint8_t kBatch = 0, kSeq = 1, kContext = 2;
uint64_t align(uint64_t n) { return (n + 63) / 64 * 64; }

// Lays ports out one after the other.
struct PortList {
  uint64_t offset = 0;
  void add(std::vector<std::unique_ptr<fb::PortT>> &to, std::string name, fb::DType type,
           std::vector<std::unique_ptr<fb::ExprT>> shape, int64_t elements) {
    uint64_t bytes = static_cast<uint64_t>(elements) * 4;
    to.push_back(port(std::move(name), type, std::move(shape), offset, bytes));
    offset = align(offset + bytes);
  }
};

std::unique_ptr<fb::EntryT> makeEntry(const std::string &name, const ToyModel &toy, int64_t seq) {
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = name;
  entry->bounds = {toy.max_batch, seq, toy.context};
  PortList list;
  int64_t tokens = toy.max_batch * seq;
  list.add(entry->inputs, "ids", fb::DType::i32, shape(symbol(kBatch), symbol(kSeq)), tokens);
  list.add(entry->inputs, "past", fb::DType::i32, shape(symbol(kBatch)), toy.max_batch);
  if (name != "score")
    list.add(entry->inputs, "length", fb::DType::i32, shape(symbol(kBatch)), toy.max_batch);
  auto vocab = [&] { return constant(toy.vocab); };
  if (name == "generate") {
    list.add(entry->outputs, "logits", fb::DType::f32, shape(symbol(kBatch), vocab()),
             toy.max_batch * toy.vocab);
    if (toy.token_output)
      list.add(entry->outputs, "token", fb::DType::i32, shape(symbol(kBatch)), toy.max_batch);
  } else if (name == "classify") {
    const auto labels = static_cast<int64_t>(toy.labels.size());
    list.add(entry->outputs, "scores", fb::DType::f32, shape(symbol(kBatch), constant(labels)),
             toy.max_batch * labels);
  } else if (name == "score") {
    list.add(entry->outputs, "logits", fb::DType::f32, shape(symbol(kBatch), symbol(kSeq), vocab()),
             tokens * toy.vocab);
  } else {
    for (int64_t i = 0; i <= toy.n_layer + 1; ++i)
      list.add(entry->outputs, i <= toy.n_layer ? "hidden." + std::to_string(i) : "ln_f", fb::DType::f32,
               shape(symbol(kBatch), symbol(kSeq), constant(toy.n_embd)), tokens * toy.n_embd);
  }
  entry->io_bytes = list.offset;
  return entry;
}

std::unique_ptr<fb::EntryT> makeSampleEntry(const ToyModel &toy) {
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = "sample";
  entry->bounds = {toy.max_batch, 1, 1};
  PortList list;
  auto row = [&](const char *name, fb::DType type) {
    list.add(entry->inputs, name, type, shape(symbol(kBatch)), toy.max_batch);
  };
  list.add(entry->inputs, "logits", fb::DType::f32, shape(symbol(kBatch), constant(toy.vocab)),
           toy.max_batch * toy.vocab);
  row("temperature", fb::DType::f32);
  row("top_k", fb::DType::i32);
  row("top_p", fb::DType::f32);
  list.add(entry->inputs, "seed", fb::DType::i32, shape(constant(2)), 2);
  row("position", fb::DType::i32);
  row("copy", fb::DType::i32);
  list.add(entry->outputs, "token", fb::DType::i32, shape(symbol(kBatch)), toy.max_batch);
  entry->io_bytes = list.offset;
  return entry;
}

} // namespace

void writeToyModel(const std::string &path, const ToyModel &toy) {
  auto writer = ArtifactWriter::create(path);
  REQUIRE(writer.ok());
  fb::MetadataT metadata;
  metadata.producer = "linnet test";
  metadata.kind = toy.labels.empty() ? format::kLanguageModel : format::kClassifier;
  Json config = {{"vocab_size", toy.vocab},    {"n_embd", toy.n_embd},
                 {"n_layer", toy.n_layer},     {"n_head", 1},
                 {"n_positions", toy.context}, {"eos_token_id", toy.eos}};
  for (size_t i = 0; i < toy.labels.size(); ++i) config["id2label"][std::to_string(i)] = toy.labels[i];
  if (!toy.problem_type.empty()) config["problem_type"] = toy.problem_type;
  if (toy.pooling != "last") config["_linnet_head"] = {{"pooling", toy.pooling}};
  if (toy.pad >= 0) config["pad_token_id"] = toy.pad;
  if (!toy.generation.empty()) config["generation_config"] = Json::parse(toy.generation);
  metadata.config = config.dump();
  if (toy.tokenizer) {
    auto blob = writer->add(byteTokenizer().serialize());
    REQUIRE(blob.ok());
    metadata.tokenizer = std::make_unique<fb::BlobT>(*blob);
  }
  auto program = std::make_unique<fb::ProgramT>();
  program->target = "fake";
  program->symbols = {"batch", "seq", "context"};
  auto state = std::make_unique<fb::StateT>();
  state->name = "cache";
  state->dtype = fb::DType::i32;
  state->shape = shape(symbol(kBatch), symbol(kContext));
  state->bytes = static_cast<uint64_t>(toy.max_batch * toy.context * 4);
  program->state_bytes = state->bytes;
  program->states.push_back(std::move(state));
  if (toy.labels.empty()) {
    program->entries.push_back(makeEntry("generate", toy, toy.max_seq));
    program->entries.push_back(makeEntry("score", toy, toy.score_seq));
  } else {
    program->entries.push_back(makeEntry("classify", toy, toy.context));
  }
  program->entries.push_back(makeEntry("hidden", toy, toy.max_seq));
  if (toy.sample_entry) program->entries.push_back(makeSampleEntry(toy));
  metadata.programs.push_back(std::move(program));
  auto written = writer->finish(metadata);
  INFO((written ? "" : written.error().message));
  REQUIRE(written.ok());
}

namespace {

uint64_t mix(uint64_t x) { // splitmix64
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}
float unit(uint64_t x) { return static_cast<float>(mix(x) >> 40) * 0x1p-24f; }

template <class Ids> uint64_t prefixHash(const Ids &ids) {
  uint64_t h = 1;
  for (auto id : ids) h = mix(h * 31 + static_cast<uint64_t>(id));
  return h;
}

void toyLogitsInto(float *out, int64_t vocab, uint64_t hash, size_t position) {
  for (int64_t v = 0; v < vocab; ++v) out[v] = 8 * unit(hash + static_cast<uint64_t>(v)) - 4;
  const auto &script = fake().script;
  if (position < script.size()) out[script[position]] = 40;
}

class FakeExecutable : public Executable {
public:
  FakeExecutable(const Artifact &artifact, const fb::Program &program)
      : artifact(artifact), program(program) {
    bounds.assign(program.entries()->Get(0)->bounds()->begin(), program.entries()->Get(0)->bounds()->end());
    cache.assign(static_cast<size_t>(bounds[kBatch] * bounds[kContext]), -1);
  }

  Result<void> run(int number, std::span<const int64_t> symbols,
                   std::span<const std::span<const std::byte>> inputs,
                   const std::vector<bool> &wanted) override {
    LINNET_TRY(checkRun(artifact, program, number, symbols, inputs, wanted));
    if (fake().on_run) fake().on_run();
    entry = program.entries()->Get(static_cast<uint32_t>(number));
    if (entry->name()->string_view() == "sample") return sample(inputs);
    LINNET_TRY(checkRows(program, first_row, symbols));
    batch = symbols[kBatch], seq = symbols[kSeq], context = symbols[kContext];
    if (context != bounds[kContext])
      return Error{"the context must be its bound: rows of the cache lie that far apart"};
    ++fake().runs;
    fake().largest_batch = std::max<int64_t>(fake().largest_batch, batch);
    fake().largest_seq = std::max<int64_t>(fake().largest_seq, seq);
    auto ids = words(inputs[0]), past = words(inputs[1]);
    lengths.assign(static_cast<size_t>(batch), static_cast<int32_t>(seq));
    if (inputs.size() > 2) lengths.assign(words(inputs[2]).begin(), words(inputs[2]).end());
    pasts.assign(past.begin(), past.end());
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t t = 0; t < seq; ++t)
        if (int64_t at = past[static_cast<size_t>(b)] + t; at < context)
          cache[static_cast<size_t>((first_row + b) * context + at)] = ids[static_cast<size_t>(b * seq + t)];
    results.clear();
    for (uint32_t i = 0; i < entry->outputs()->size(); ++i)
      results.push_back(compute(*entry->outputs()->Get(i), symbols, wanted.empty() || wanted[i]));
    return {};
  }
  Result<std::span<const std::byte>> output(int i) override {
    if (i < 0 || static_cast<size_t>(i) >= results.size()) return Error{"no such output"};
    return std::span<const std::byte>(results[static_cast<size_t>(i)]);
  }
  void resetStates() override { std::fill(cache.begin(), cache.end(), -1); }
  Result<void> selectRows(int64_t first) override {
    if (first < 0 || first >= bounds[kBatch]) return errorf("no row {}", first);
    first_row = first;
    return {};
  }
  Result<void> copyRow(int64_t from, int64_t to, int64_t tokens) override {
    LINNET_TRY(checkCopy(program, from, to, tokens));
    std::copy_n(cache.begin() + from * bounds[kContext], tokens, cache.begin() + to * bounds[kContext]);
    ++fake().copies;
    return {};
  }
  Result<std::vector<std::byte>> readRow(int64_t row, int64_t tokens) override {
    LINNET_TRY(checkRead(program, row, tokens));
    const auto bytes = std::as_bytes(
        std::span(cache).subspan(static_cast<size_t>(row * bounds[kContext]), static_cast<size_t>(tokens)));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }
  Result<void> writeRow(int64_t row, int64_t tokens, std::span<const std::byte> from) override {
    LINNET_TRY(checkWrite(program, row, tokens, static_cast<uint64_t>(tokens) * 4, from.size()));
    std::memcpy(cache.data() + row * bounds[kContext], from.data(), from.size());
    return {};
  }
  MemoryUse memory() const override {
    MemoryUse use;
    use.states = cache.size() * 4;
    return use;
  }
  void setProfiler(std::shared_ptr<Profiler>) override {}
  Result<std::unique_ptr<Loop>> makeLoop(const LoopSpec &spec) override;

private:
  Result<void> sample(std::span<const std::span<const std::byte>> inputs) {
    auto floats = [&](size_t i) {
      return std::span(reinterpret_cast<const float *>(inputs[i].data()), inputs[i].size() / 4);
    };
    std::vector<int32_t> tokens;
    for (size_t b = 0; b < floats(1).size(); ++b) {
      GenerateOptions options{.do_sample = true, .temperature = floats(1)[b], .top_k = words(inputs[2])[b]};
      options.top_p = floats(3)[b];
      options.seed = uint64_t(uint32_t(words(inputs[4])[1])) << 32 | uint32_t(words(inputs[4])[0]);
      Sampler sampler(static_cast<int64_t>(vocabulary()), options);
      tokens.push_back(sampler.sample(floats(0).subspan(b * vocabulary(), vocabulary()),
                                      static_cast<uint32_t>(words(inputs[5])[b]),
                                      static_cast<uint32_t>(words(inputs[6])[b])));
    }
    auto bytes = std::as_bytes(std::span(tokens));
    results.assign(1, {bytes.begin(), bytes.end()});
    return {};
  }
  static std::span<const int32_t> words(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const int32_t *>(bytes.data()), bytes.size() / 4};
  }
  // Tokens of a row up to and including its t-th new one, as the cache has them.
  std::span<const int32_t> prefix(int64_t b, int64_t t) const {
    int64_t n = std::min(pasts[static_cast<size_t>(b)] + t + 1, context);
    return std::span(cache).subspan(static_cast<size_t>((first_row + b) * context), static_cast<size_t>(n));
  }
  std::vector<std::byte> compute(const fb::Port &port, std::span<const int64_t> symbols, bool is_wanted) {
    std::vector<std::byte> bytes(portBytes(port, symbols), std::byte(0xEE));
    if (!is_wanted) return bytes; // garbage, which nobody may look at
    auto name = port.name()->string_view();
    auto *floats = reinterpret_cast<float *>(bytes.data());
    int64_t columns = port.shape()->Get(port.shape()->size() - 1)->terms()->Get(0)->coefficient();
    bool every = port.shape()->size() == 3;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t t = 0; t < seq; ++t) {
        if (!every && t != lengths[static_cast<size_t>(b)] - 1) continue;
        auto tokens = prefix(b, t);
        float *row = floats + (every ? b * seq + t : b) * columns;
        if (name == "token") {
          std::vector<float> logits(vocabulary());
          toyLogitsInto(logits.data(), static_cast<int64_t>(logits.size()), prefixHash(tokens),
                        tokens.size());
          reinterpret_cast<int32_t *>(bytes.data())[b] =
              static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        } else if (name == "logits" || name == "scores") {
          toyLogitsInto(row, columns, prefixHash(tokens), tokens.size());
          if (tokens.back() == fake().nan_after) row[0] = std::numeric_limits<float>::quiet_NaN();
          if (name == "scores" && fake().scores_nan) row[0] = std::numeric_limits<float>::quiet_NaN();
        } else {
          int64_t layer = name == "ln_f" ? -1 : std::stoll(std::string(name.substr(7)));
          for (int64_t c = 0; c < columns; ++c)
            row[c] = unit(prefixHash(tokens) + static_cast<uint64_t>(layer * 97 + c));
        }
      }
    return bytes;
  }
  size_t vocabulary() const {
    return static_cast<size_t>(
        program.entries()->Get(0)->outputs()->Get(0)->shape()->Get(1)->terms()->Get(0)->coefficient());
  }

  const Artifact &artifact;
  const fb::Program &program;
  const fb::Entry *entry = nullptr;
  std::vector<int64_t> bounds;
  int64_t batch = 0, seq = 0, context = 0, first_row = 0;
  std::vector<int32_t> cache, pasts, lengths;
  std::vector<std::vector<std::byte>> results;
};

// Loops as device.h defines them, by one run after the other.
class FakeLoop : public Loop {
public:
  FakeLoop(FakeExecutable &executable, LoopSpec spec) : executable(executable), spec(std::move(spec)) {}
  int64_t mostSteps() const override { return fake().loop_steps; }
  Result<void> run(int64_t steps, std::span<const LoopInputs> given,
                   std::span<const std::span<const std::byte>> tables) override {
    if (steps < 1 || steps > mostSteps() || tables.size() != spec.tables.size() ||
        given.size() != spec.entries.size())
      return Error{"a bad loop"};
    fake().largest_loop = std::max<int64_t>(fake().largest_loop, steps);
    kept.assign(spec.histories.size(), {});
    values.assign(given.size(), {});
    for (size_t stage = 0; stage < given.size(); ++stage)
      for (auto bytes : given[stage].inputs) values[stage].emplace_back(bytes.begin(), bytes.end());
    for (int64_t step = 0; step < steps; ++step) {
      for (size_t stage = 0; stage < given.size(); ++stage)
        LINNET_TRY(runStage(static_cast<int>(stage), given[stage].symbols));
      for (size_t i = 0; i < tables.size() && step + 1 < steps; ++i) {
        auto &value = valueOf(spec.tables[i]);
        auto next = tables[i].subspan(static_cast<size_t>(step) * value.size(), value.size());
        value.assign(next.begin(), next.end());
      }
    }
    return {};
  }
  Result<std::span<const std::byte>> history(int i) override {
    return std::span<const std::byte>(kept.at(static_cast<size_t>(i)));
  }

private:
  std::vector<std::byte> &valueOf(LoopSpec::Port input) {
    return values[static_cast<size_t>(input.stage)][static_cast<size_t>(input.number)];
  }
  Result<void> runStage(int stage, std::span<const int64_t> symbols) {
    const auto &own = values[static_cast<size_t>(stage)];
    std::vector<std::span<const std::byte>> inputs(own.begin(), own.end());
    LINNET_TRY(executable.run(spec.entries[static_cast<size_t>(stage)], symbols, inputs, {}));
    for (size_t i = 0; i < kept.size(); ++i) {
      if (spec.histories[i].stage != stage) continue;
      auto value = *executable.output(spec.histories[i].number);
      kept[i].insert(kept[i].end(), value.begin(), value.end());
    }
    for (const LoopSpec::Carry &carry : spec.carries) {
      if (carry.output.stage != stage) continue;
      auto value = *executable.output(carry.output.number);
      valueOf(carry.input).assign(value.begin(), value.end());
    }
    return {};
  }

  FakeExecutable &executable;
  LoopSpec spec;
  std::vector<std::vector<std::vector<std::byte>>> values; // of each stage's inputs
  std::vector<std::vector<std::byte>> kept;
};

Result<std::unique_ptr<Loop>> FakeExecutable::makeLoop(const LoopSpec &spec) {
  if (fake().loop_steps == 0) return std::unique_ptr<Loop>();
  return std::unique_ptr<Loop>(std::make_unique<FakeLoop>(*this, spec));
}

class FakeDevice : public Device {
public:
  std::string description(const DeviceOptions &) const override { return "fake"; }
  DeviceKind kind() const override { return DeviceKind::Gpu; }
  Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                           const DeviceOptions &) override {
    return std::unique_ptr<Executable>(std::make_unique<FakeExecutable>(artifact, program));
  }
};

} // namespace

FakeSwitches &fake() {
  static FakeSwitches switches;
  return switches;
}

void useFakeDevice() {
  fake().script.clear();
  fake().on_run = {};
  fake().scores_nan = false;
  fake().nan_after = -1;
  fake().loop_steps = 0;
  fake().largest_loop = fake().copies = fake().runs = fake().largest_batch = fake().largest_seq = 0;
  registerDevice("fake", [](std::string_view) -> Result<std::unique_ptr<Device>> {
    return std::unique_ptr<Device>(std::make_unique<FakeDevice>());
  });
}

std::vector<float> toyLogits(const ToyModel &toy, std::span<const TokenId> ids) {
  std::vector<float> out(static_cast<size_t>(toy.vocab));
  toyLogitsInto(out.data(), toy.vocab, prefixHash(ids), ids.size());
  return out;
}

float toyHidden(std::span<const TokenId> ids, int64_t layer, int64_t channel) {
  return unit(prefixHash(ids) + static_cast<uint64_t>(layer * 97 + channel));
}

} // namespace fixtures
