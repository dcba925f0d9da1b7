// The SPIR-V emitter: what it writes passes the validator for Vulkan 1.1, and declares no more than it uses.
#include "backends/vulkan/spirv/builder.h"
#include "tests/catch.h"

#include <spirv-tools/libspirv.h>

using namespace linnet::spirv;

namespace {

/// The validator's message, empty when the module is valid for Vulkan 1.1.
std::string validate(const Words &words) {
  spv_context context = spvContextCreate(SPV_ENV_VULKAN_1_1);
  spv_const_binary_t binary{words.data(), words.size()};
  spv_diagnostic diagnostic = nullptr;
  spv_result_t result = spvValidate(context, &binary, &diagnostic);
  std::string message = result == SPV_SUCCESS ? "" : diagnostic ? diagnostic->error : "invalid";
  spvDiagnosticDestroy(diagnostic);
  spvContextDestroy(context);
  return message;
}

int countOp(const Words &words, spv::Op op) {
  int n = 0;
  for (size_t i = 5; i < words.size(); i += words[i] >> 16)
    n += (words[i] & 0xffff) == static_cast<uint32_t>(op);
  return n;
}

} // namespace

TEST_CASE("an elementwise kernel is valid and needs only the Shader capability", "[spirv]") {
  Builder b({.name = "scale", .local_size = {64, 1, 1}, .n_buffers = 2, .n_push = 1});
  Value i = b.globalId(0);
  b.ifThen(b.lt(i, b.push(0)), [&] { b.store(1, i, b.mul(b.load(0, i, Builder::f32()), b.constant(2.0f))); });
  Words words = b.finish();
  CHECK(validate(words) == "");
  CHECK(countOp(words, spv::Op::OpCapability) == 1);
  CHECK(countOp(words, spv::Op::OpExtension) == 0);
  CHECK(words[1] == 0x00010300);
}

TEST_CASE("shared memory, loops, branches and extended instructions are valid", "[spirv]") {
  Builder b({.name = "row_sum", .local_size = {32, 1, 1}, .n_buffers = 2, .n_push = 2});
  Shared partial = b.shared(Builder::f32(), 32, "partial");
  Value lane = b.localId(0), row = b.groupId(0), n = b.push(0);
  Variable sum = b.variable(b.constant(0.0f), "sum");
  b.forRange(lane, n, b.constant(32u), [&](Value c) {
    Value x = b.load(0, b.add(b.mul(row, n), c), Builder::f32());
    b.set(sum, b.fma(x, b.roundEven(b.neg(x)), b.get(sum)));
  });
  b.store(partial, lane, b.get(sum));
  b.barrier();
  b.ifElse(
      b.eq(lane, b.constant(0u)),
      [&] {
        Variable total = b.variable(b.constant(0.0f));
        b.forRange(b.constant(0u), b.constant(32u), b.constant(1u),
                   [&](Value j) { b.set(total, b.add(b.get(total), b.load(partial, j))); }, {.unroll = true});
        b.store(1, row, b.get(total));
      },
      [&] {});
  CHECK(validate(b.finish()) == "");
}

TEST_CASE("vectors, packed halves, bit fields and conversions are valid", "[spirv]") {
  Builder b({.name = "unpack", .local_size = {8, 2, 1}, .n_buffers = 3});
  Value i = b.globalId(0);
  Value word = b.load(0, i, Builder::u32());
  Value halves = b.unpackHalf2(word);
  Value byte = b.bitExtract(b.bitcast(word, Builder::i32()), b.constant(8u), b.constant(8u));
  Value four = b.load(1, b.shiftLeft(i, b.constant(2u)), Builder::f32(4));
  Value product = b.extract(b.mul(four, b.splat(b.extract(halves, 1), 4)), 2);
  Value r = b.select(b.le(product, b.constant(0.5f)), b.convert(byte, Builder::f32()),
                     b.max(product, b.constant(1.0f)));
  b.store(2, i, b.vector({r, b.sqrt(b.abs(r))}));
  CHECK(validate(b.finish()) == "");
}

TEST_CASE("subgroup operations declare the capabilities that they need", "[spirv]") {
  Builder b({.name = "subgroup_sum", .local_size = {64, 1, 1}, .n_buffers = 2});
  Value i = b.globalId(0);
  Value sum = b.subgroupReduce(SubgroupOp::add, b.load(0, i, Builder::f32()));
  Value top = b.subgroupReduce(SubgroupOp::max, b.subgroupShuffleXor(sum, b.constant(1u)));
  b.ifThen(b.eq(b.subgroupLane(), b.constant(0u)), [&] { b.store(1, i, b.subgroupBroadcastFirst(top)); });
  Words words = b.finish();
  CHECK(validate(words) == "");
  CHECK(countOp(words, spv::Op::OpCapability) ==
        5); // Shader, GroupNonUniform and its Arithmetic, Shuffle, Ballot
}

TEST_CASE("atomics and barriers between workgroups are valid, through a coherent view of the buffer") {
  Builder b({.name = "count", .local_size = {32, 1, 1}, .n_buffers = 2});
  const uint32_t parts = b.coherent(0), counter = b.coherent(1);
  CHECK(parts == 2);
  b.store(parts, b.groupId(0), b.constant(1.0f));
  b.memoryBarrier();
  Value before = b.atomicAdd(counter, b.constant(0u), b.constant(1u));
  b.ifThen(b.eq(b.add(before, b.constant(1u)), b.groupCount(0)), [&] {
    b.memoryBarrier();
    b.store(parts, b.constant(0u), b.load(parts, before, Builder::f32()));
  });
  Words words = b.finish();
  CHECK(validate(words) == "");
  CHECK(countOp(words, spv::Op::OpCapability) == 1);
  int coherent = 0;
  for (size_t i = 5; i < words.size(); i += words[i] >> 16)
    coherent += words[i] == (3u << 16 | static_cast<uint32_t>(spv::Op::OpDecorate)) &&
                words[i + 2] == static_cast<uint32_t>(spv::Decoration::Coherent);
  CHECK(coherent == 2);
}
