// The artifact file: what is written is read, and damage of every kind is told, never believed, never a
// crash.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/format.h"
#include "runtime/expr.h"
#include "runtime/layout.h"
#include "support/error.h"
#include "tests/catch.h"
#include "tests/folders.h"
#include "tests/runtime/fixtures.h"

#include <csignal>
#include <cstring>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace fixtures;

namespace {

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

// Aligned copies of file bytes, read as an artifact.
std::string readError(const std::vector<std::byte> &bytes) {
  auto artifact = Artifact::fromBytes(bytes, "x.linnet");
  return artifact ? "" : artifact.error().message;
}

// Puts header and metadata hashes right again after an edit, so that the checks after them are reached.
void repairHashes(std::vector<std::byte> &bytes) {
  format::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.metadata_hash = format::hashBytes(std::span(bytes).subspan(header.metadata_offset));
  header.header_hash = format::headerHash(header);
  std::memcpy(bytes.data(), &header, sizeof header);
}

// A program of two commands over each kind of memory.
struct Sample {
  Sample() {
    auto writer = ArtifactWriter::create(directory / "sample.linnet");
    REQUIRE(writer.ok());
    std::vector<std::byte> weight(3 * 16 * 64 * 4 * 2, std::byte(7)), code(1000, std::byte(9));
    REQUIRE(writer->begin().ok());
    REQUIRE(writer->append(std::span<const std::byte>(weight).first(100)).ok());
    REQUIRE(writer->append(std::span<const std::byte>(weight).subspan(100)).ok());
    weight_blob = *writer->end();
    code_blob = *writer->add(code);
    fill(metadata);
    auto written = writer->finish(metadata);
    INFO((written ? "" : written.error().message));
    REQUIRE(written.ok());
    bytes = readBytes(directory / "sample.linnet");
  }

  void fill(fb::MetadataT &to) const {
    to.producer = "linnet test";
    auto program = std::make_unique<fb::ProgramT>();
    program->target = "cpu";
    program->symbols = {"batch"};
    program->kernels = {"k"};
    program->arena_bytes = 4096;
    auto code = std::make_unique<fb::CodeT>();
    code->isa = "avx2";
    code->features = {"avx2"};
    code->blob = std::make_unique<fb::BlobT>(code_blob);
    program->code.push_back(std::move(code));
    auto weight = std::make_unique<fb::WeightT>();
    weight->name = "w";
    weight->shape = {40, 100};
    weight->layout = "panel<16x64>";
    weight->blob = std::make_unique<fb::BlobT>(weight_blob);
    program->weights.push_back(std::move(weight));
    auto state = std::make_unique<fb::StateT>();
    state->name = "s";
    state->shape = shape(symbol(0), constant(4));
    state->bytes = 64;
    program->state_bytes = 64;
    program->states.push_back(std::move(state));
    auto entry = std::make_unique<fb::EntryT>();
    entry->name = "main";
    entry->bounds = {4};
    entry->inputs.push_back(port("x", fb::DType::f32, shape(symbol(0), constant(40)), 0, 640));
    entry->outputs.push_back(port("y", fb::DType::f32, shape(symbol(0), constant(100)), 640, 1600));
    entry->io_bytes = 2240;
    entry->arena_bytes = 4096;
    auto call = std::make_unique<fb::KernelCallT>();
    call->args.push_back(ref(fb::Space::input, 0, 0, 640));
    call->args.push_back(ref(fb::Space::arena, 0, 64, 640));
    call->args.push_back(ref(fb::Space::state, 0, 0, 64));
    call->work = symbol(0, 40);
    call->grain = 16;
    auto first = std::make_unique<fb::CommandT>();
    first->op = "linnet.fused";
    first->body.Set(std::move(*call));
    entry->commands.push_back(std::move(first));
    auto matmul = std::make_unique<fb::PackedMatmulT>();
    matmul->a = ref(fb::Space::arena, 0, 64, 640);
    matmul->w = ref(fb::Space::weight, 0, 0, 3 * 16 * 64 * 4 * 2);
    matmul->out = ref(fb::Space::output, 0, 0, 1600);
    matmul->m = symbol(0);
    matmul->k = matmul->a_stride = 40;
    matmul->n = 100;
    auto second = std::make_unique<fb::CommandT>();
    second->op = "linnet.matmul";
    second->body.Set(std::move(*matmul));
    entry->commands.push_back(std::move(second));
    program->entries.push_back(std::move(entry));
    to.programs.push_back(std::move(program));
  }

  // The error of a reader that meets the metadata after `edit`.
  std::string with(const std::function<void(fb::ProgramT &)> &edit) const {
    fb::MetadataT changed;
    fill(changed);
    edit(*changed.programs[0]);
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(fb::Metadata::Pack(builder, &changed));
    format::Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    std::vector<std::byte> file(bytes.begin(),
                                bytes.begin() + static_cast<std::ptrdiff_t>(header.metadata_offset));
    auto tail = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
    file.insert(file.end(), tail.begin(), tail.end());
    header.metadata_bytes = tail.size();
    header.file_bytes = file.size();
    std::memcpy(file.data(), &header, sizeof header);
    repairHashes(file);
    return readError(file);
  }

  TemporaryDirectory directory;
  fb::BlobT weight_blob, code_blob;
  fb::MetadataT metadata;
  std::vector<std::byte> bytes;
};

} // namespace

TEST_CASE("what is written is read") {
  Sample sample;
  auto artifact = Artifact::open(sample.directory / "sample.linnet");
  INFO((artifact ? "" : artifact.error().message));
  REQUIRE(artifact.ok());
  CHECK(artifact->checkBlobs().ok());
  CHECK(artifact->metadata().producer()->str() == "linnet test");
  const fb::Program *program = artifact->program("cpu");
  REQUIRE(program);
  CHECK(artifact->program("vulkan") == nullptr);
  const fb::Blob &blob = *program->weights()->Get(0)->blob();
  CHECK(blob.offset() % 64 == 0);
  auto data = artifact->blob(blob);
  CHECK(std::all_of(data.begin(), data.end(), [](std::byte b) { return b == std::byte(7); }));
  CHECK(reinterpret_cast<uintptr_t>(data.data()) % 64 == 0);
  CHECK(program->entries()->Get(0)->commands()->Get(1)->body_as_PackedMatmul()->n() == 100);
  CHECK(artifact->fileBytes() == sample.bytes.size());
}

TEST_CASE("a file cut at any length is told from a whole one") {
  Sample sample;
  for (size_t n = 0; n < sample.bytes.size(); n += n < 200 ? 1 : 97) {
    std::vector<std::byte> cut(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(n));
    std::string error = readError(cut);
    CAPTURE(n, error);
    if (n == 0)
      CHECK(contains(error, "not a Linnet artifact: the file is empty"));
    else if (n < 64)
      CHECK(error == fmt::format("x.linnet: truncated: expected at least 64 bytes, found {}", n));
    else
      CHECK(error == fmt::format("x.linnet: truncated: expected {} bytes, found {}", sample.bytes.size(), n));
  }
  auto longer = sample.bytes;
  longer.push_back(std::byte(0));
  CHECK(contains(readError(longer), "damaged: expected"));
}

TEST_CASE("every bit of the header counts") {
  Sample sample;
  for (size_t i = 0; i < 64; ++i)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = sample.bytes;
      bytes[i] ^= std::byte(1 << bit);
      std::string error = readError(bytes);
      CAPTURE(i, bit, error);
      CHECK(contains(error, i < 8    ? "not a Linnet artifact"
                            : i < 12 ? "made by another version"
                                     : "damaged"));
    }
}

TEST_CASE("foreign files") {
  CHECK(contains(readError(std::vector<std::byte>(1000)), "not a Linnet artifact"));
  auto elf = readBytes("/proc/self/exe");
  CHECK(contains(readError(elf), "not a Linnet artifact"));
  CHECK(
      contains(Artifact::open("/proc/self/maps-none").error().message, "/proc/self/maps-none: cannot open"));
}

TEST_CASE("another version says which") {
  Sample sample;
  uint32_t version = 7;
  std::memcpy(sample.bytes.data() + 8, &version, sizeof version);
  CHECK(readError(sample.bytes) ==
        "x.linnet: made by another version of Linnet: the file has format 7, this library reads format 1");
}

TEST_CASE("a changed byte of the metadata, of code or of a weight is found") {
  Sample sample;
  auto bytes = sample.bytes;
  bytes[bytes.size() - 5] ^= std::byte(1);
  CHECK(contains(readError(bytes), "damaged: its metadata does not match its checksum"));
  bytes = sample.bytes;
  bytes[sample.code_blob.offset + 10] ^= std::byte(1);
  CHECK(contains(readError(bytes), "damaged: machine code for avx2 does not match its checksum"));
  bytes = sample.bytes;
  bytes[sample.weight_blob.offset + 10] ^= std::byte(1);
  auto artifact = Artifact::fromBytes(bytes, "x.linnet");
  REQUIRE(artifact.ok());
  CHECK(contains(artifact->checkBlobs().error().message, "weight w does not match its checksum"));
}

TEST_CASE("metadata that lies behind right checksums is refused or harmless") {
  Sample sample;
  format::Header header;
  std::memcpy(&header, sample.bytes.data(), sizeof header);
  std::mt19937_64 random(20);
  size_t refused = 0;
  for (int round = 0; round < 20000; ++round) {
    auto bytes = sample.bytes;
    for (uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      size_t at = header.metadata_offset + random() % header.metadata_bytes;
      bytes[at] = random() % 2 ? bytes[at] ^ std::byte(1 << random() % 8) : std::byte(random());
    }
    repairHashes(bytes);
    auto artifact = Artifact::fromBytes(bytes, "x.linnet");
    refused += !artifact;
    if (!artifact) continue;
    for (const fb::Program *program : *artifact->metadata().programs()) // all that is promised can be read
      for (const fb::Weight *weight : *program->weights())
        CHECK(artifact->blob(*weight->blob()).size() == weight->blob()->size());
  }
  CHECK(refused > 5000);
}

TEST_CASE("each claim of the metadata is checked") {
  Sample sample;
  using P = fb::ProgramT;
  auto commands = [](P & p) -> auto & { return p.entries[0]->commands; };
  auto call = [&](P &p) { return commands(p)[0]->body.AsKernelCall(); };
  auto matmul = [&](P &p) { return commands(p)[1]->body.AsPackedMatmul(); };
  auto gemm = [&](P &p) { // (4, 10) (10, 4), which a library may do
    auto made = std::make_unique<fb::GemmT>();
    made->m = symbol(0), made->k = constant(10), made->n = constant(4);
    call(p)->args.clear();
    for (uint64_t bytes : {160, 160, 64, 64, 64}) call(p)->args.push_back(ref(fb::Space::arena, 0, 0, bytes));
    call(p)->gemm = std::move(made);
    return call(p)->gemm.get();
  };
  CHECK(sample.with([](P &) {}) == "");
  struct Case {
    std::function<void(P &)> edit;
    const char *error;
  };
  const Case cases[] = {
      {[](P &p) { p.weights[0]->blob->offset += 4; }, "is not aligned"},
      {[](P &p) { p.weights[0]->blob->offset = 0; }, "lies outside"},
      {[](P &p) { p.weights[0]->blob->size = uint64_t(1) << 40; }, "lies outside"},
      {[](P &p) { p.weights[0]->blob->offset = ~uint64_t(63); }, "lies outside"},
      {[](P &p) { p.weights[0]->blob->size += 64; }, "overlap"},
      {[](P &p) { p.weights[0]->layout = "panel<16>"; }, "unknown layout"},
      {[](P &p) { p.weights[0]->layout = ""; }, "its shape needs 16000 bytes, it has 24576"},
      {[](P &p) {
         p.weights[0]->shape = {1 << 30, 1 << 30};
       },
       "its shape is too large"},
      {[](P &p) {
         p.weights[0]->shape = {-1, 5};
       },
       "a dimension of -1"},
      {[](P &p) { p.weights[0]->dtype = static_cast<fb::DType>(77); }, "unknown element type"},
      {[](P &p) { p.states[0]->bytes = 32; },
       "state 's': its shape at the bounds needs 64 bytes, 32 are reserved"},
      {[](P &p) { p.states[0]->bytes = ~uint64_t(0); }, "absurd size"},
      {[](P &p) { p.state_bytes = 10; }, "states need 64 bytes, 10 are reserved"},
      {[](P &p) { p.arena_bytes = uint64_t(1) << 60; }, "absurd sizes"},
      {[](P &p) { p.entries[0]->arena_bytes = 5000; }, "uses 5000 bytes of an arena of 4096"},
      {[](P &p) { p.counter_bytes = 256; }, "uses 4096 bytes of an arena of 3840"},
      {[](P &p) { p.counter_bytes = 4352; }, "4352 bytes of counters in an arena of 4096"},
      {[](P &p) { p.counter_bytes = 100; }, "counters begin at 3996, no multiple of 256"},
      {[&](P &p) { call(p)->args[1] = ref(fb::Space::counter, 0, 0, 4); },
       "lies outside counter 0 of 0 bytes"},
      {[](P &p) { p.entries[0]->bounds = {}; }, "has 0 bounds for 1 symbols"},
      {[](P &p) { p.entries[0]->bounds = {0}; }, "a bound of 0"},
      {[](P &p) { p.entries[0]->bounds = {int64_t(1) << 50}; }, "needs"},
      {[](P &p) { p.entries[0]->io_bytes = 1000; }, "lies outside its area of 1000 bytes"},
      {[](P &p) { p.entries[0]->outputs[0]->offset = ~uint64_t(63); }, "lies outside its area"},
      {[](P &p) { p.entries[0]->inputs[0]->shape = shape(symbol(3)); }, "has no value at the bounds"},
      {[](P &p) { p.entries[0]->inputs[0]->shape = shape(constant(-4)); }, "has no value at the bounds"},
      {[](P &p) {
         p.entries[0]->inputs[0]->shape = shape(product({0, 0, 0, 0}, int64_t(1) << 55));
       },
       "has no value"},
      {[](P &p) { p.entries[0]->inputs[0]->shape = shape(symbol(0), constant(41)); },
       "needs 656 bytes, 640 are"},
      {[](P &p) { p.kernels.clear(); }, "kernel 0 of 0"},
      {[&](P &p) { call(p)->grain = 0; }, "a grain of 0"},
      {[&](P &p) { call(p)->work = symbol(1); }, "work has no value"},
      {[&](P &p) { call(p)->args[1]->offset = 4000; }, "[4000, +640) lies outside arena 0 of 4096 bytes"},
      {[&](P &p) { call(p)->args[1]->offset = ~uint64_t(0); }, "lies outside arena"},
      {[&](P &p) { call(p)->args[0]->index = 1; }, "number 1 of 1 input"},
      {[&](P &p) { call(p)->args[0]->space = static_cast<fb::Space>(9); }, "unknown memory space"},
      {[&](P &p) { commands(p)[0]->body.Reset(); }, "unknown kind of command"},
      {[&](P &p) {
         commands(p)[0]->only_for = {0, 7};
       },
       "is only for output 7 of"},
      {[&](P &p) { matmul(p)->a_stride = 41; },
       "a: needs 163 numbers of 4 bytes at the bounds, it has 640 bytes"},
      {[&](P &p) { matmul(p)->k = 0; }, "sizes m 4 k 0"},
      {[&](P &p) { matmul(p)->k = int64_t(1) << 40; }, "sizes m 4 k"},
      {[&](P &p) { matmul(p)->n = 129; }, "in panels needs"},
      {[&](P &p) { matmul(p)->m = symbol(0, 2); }, "a: needs"},
      {[&](P &p) { matmul(p)->w = ref(fb::Space::arena, 0, 0, 64); }, "w is not a weight"},
      {[&](P &p) { matmul(p)->a_bf16 = true; }, "a in bf16 with w of another type"},
      {[&](P &p) { matmul(p)->out->size = 100; }, "out: needs 400 numbers of 4"},
      {[&](P &p) { matmul(p)->bias = ref(fb::Space::arena, 0, 0, 64); }, "bias: needs 100 numbers of 4"},
      {[&](P &p) { matmul(p)->residual = ref(fb::Space::arena, 0, 0, 64); },
       "residual: needs 400 numbers of 4"},
      {[&](P &p) { matmul(p)->activation = static_cast<fb::Activation>(9); }, "unknown activation"},
      {[](P &p) { p.code[0]->blob->size = 0; }, "no machine code for avx2"},
      {[&](P &p) { gemm(p)->k = symbol(2); }, "k has no value at the bounds"},
      {[&](P &p) { gemm(p)->n = constant(0); }, "sizes m 4 k 10 n 0"},
      {[&](P &p) { gemm(p)->n = constant(int64_t(1) << 40); }, "sizes m 4 k 10 n"},
      {[&](P &p) { gemm(p)->m = symbol(0, 3); }, "operand 0: needs 480 bytes at the bounds, it has 160"},
      {[&](P &p) { gemm(p)->n = constant(5); }, "operand 1: needs 200 bytes at the bounds, it has 160"},
      {[&](P &p) { gemm(p)->bias = true, call(p)->args[2]->size = 8; }, "operand 2: needs 16 bytes"},
      {[&](P &p) { gemm(p)->residual = true, call(p)->args[3]->size = 8; }, "operand 3: needs 64 bytes"},
      {[&](P &p) { gemm(p), call(p)->args[4]->size = 60; }, "operand 4: needs 64 bytes"},
      {[&](P &p) { gemm(p), call(p)->args.pop_back(); }, "a matmul of 4 operands"},
      {[&](P &p) { gemm(p)->activation = static_cast<fb::Activation>(9); }, "unknown activation"},
  };
  CHECK(sample.with([&](P &p) { gemm(p); }) == "");
  auto narrow = [&](P &p) { gemm(p)->bf16 = true, call(p)->args[0]->size = call(p)->args[1]->size = 80; };
  CHECK(sample.with(narrow) == "");
  CHECK(contains(sample.with([&](P &p) { narrow(p), call(p)->args[1]->size = 79; }),
                 "operand 1: needs 80 bytes"));
  for (const Case &c : cases) {
    std::string error = sample.with(c.edit);
    CAPTURE(error, c.error);
    CHECK(contains(error, c.error));
    CHECK(contains(error, "x.linnet: damaged: "));
  }
}

TEST_CASE("the writer refuses what a reader would") {
  TemporaryDirectory directory;
  Sample sample;
  auto writer = ArtifactWriter::create(directory / "bad.linnet");
  REQUIRE(writer.ok());
  fb::MetadataT metadata;
  sample.fill(metadata); // its blobs were never written here
  auto result = writer->finish(metadata);
  REQUIRE(!result);
  CHECK(contains(result.error().message, "bad.linnet: cannot write: a blob at"));
  CHECK_FALSE(fileExists(directory / "bad.linnet"));
  CHECK(writer->append({}).ok() == false);
  REQUIRE(writer->begin().ok());
  CHECK(writer->begin().ok() == false);
  CHECK(writer->finish(metadata).ok() == false);
}

TEST_CASE("a large blob that there is already is not written again") {
  TemporaryDirectory directory;
  auto writer = ArtifactWriter::create(directory / "shared.linnet");
  std::vector<std::byte> large(100000, std::byte(1)), other(large), small(1000, std::byte(3));
  other[99999] = std::byte(2);
  const fb::BlobT first = *writer->add(large), second = *writer->add(other), again = *writer->add(large);
  CHECK(second.offset != first.offset);
  CHECK(std::tuple(again.offset, again.size, again.hash) == std::tuple(first.offset, first.size, first.hash));
  // The next blob is where the copy was. Small blobs, next to each other in memory, are not compared.
  const fb::BlobT a = *writer->add(small), b = *writer->add(small);
  CHECK(a.offset == (second.offset + second.size + 63) / 64 * 64);
  CHECK(b.offset > a.offset);
}

TEST_CASE("a full disk while writing is an error that leaves nothing") {
  TemporaryDirectory directory;
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) { // the limit on a file's size stands for the disk's end
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{3 << 20, 3 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    auto writer = ArtifactWriter::create(directory / "big.linnet");
    std::vector<std::byte> piece(500000, std::byte(1));
    bool failed = false;
    failed = !writer->begin();
    for (int i = 0; i < 20 && !failed; ++i) failed = !writer->append(piece);
    _exit(failed ? 42 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 42);
  CHECK_FALSE(fileExists(directory / "big.linnet"));
}

TEST_CASE("expressions") {
  fb::ExprT expr;
  for (int i = 0; i < 2; ++i) expr.terms.push_back(std::make_unique<fb::TermT>());
  expr.terms[0]->coefficient = 3;
  expr.terms[0]->symbols = {0, 1};
  expr.terms[1]->coefficient = 5;
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::Expr::Pack(builder, &expr));
  auto *read = flatbuffers::GetRoot<fb::Expr>(builder.GetBufferPointer());
  std::vector<int64_t> symbols = {4, 7}, one = {4}, huge = {int64_t(1) << 40, int64_t(1) << 40};
  CHECK(evaluate(read, symbols) == 89);
  CHECK(evaluateChecked(read, symbols) == 89);
  CHECK_FALSE(evaluateChecked(read, one).has_value());
  CHECK_FALSE(evaluateChecked(read, huge).has_value());
  CHECK(evaluateChecked(nullptr, one) == 0);
}

TEST_CASE("texts of panel layouts") {
  auto plain = parsePanelLayout("panel<16x64>");
  REQUIRE(plain);
  CHECK(plain->elements(40, 100) == 2 * 3 * 16 * 64);
  auto bf16 = parsePanelLayout("panel<16x64, interleave = 2, transposed>");
  REQUIRE(bf16);
  CHECK(bf16->interleave == 2);
  CHECK(bf16->transposed);
  for (const char *bad : {"", "panel", "panel<>", "panel<16x>", "panel<0x64>", "panel<16x64", "panel<16x64>x",
                          "panel<16x64, other>", "panel<16x64, interleave = 3>", "panel<99999x64>"})
    CHECK_FALSE(parsePanelLayout(bad).has_value());
}

TEST_CASE("a vector of the metadata that lies askew is refused") { // found by the fuzz target
  auto bytes = readBytes(linnet::testing::sourceFolder() + "/tests/fuzz/corpus/artifact/misaligned-vector");
  format::Header header;
  REQUIRE(bytes.size() > sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(header.magic, format::kMagic, sizeof header.magic);
  header.version = format::kVersion;
  header.header_bytes = format::kHeaderBytes;
  header.reserved = 0;
  header.file_bytes = bytes.size();
  header.metadata_offset = std::min<uint64_t>(header.metadata_offset, bytes.size()) / 64 * 64;
  header.metadata_bytes = bytes.size() - header.metadata_offset;
  std::memcpy(bytes.data(), &header, sizeof header);
  repairHashes(bytes);
  CHECK(contains(readError(bytes), "not aligned"));
}
