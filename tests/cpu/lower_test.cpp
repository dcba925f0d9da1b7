// Checks what lowering makes from a module: commands, kernels, machine code, and the error when it cannot.
#include "backends/cpu/kernels.h"
#include "tests/catch.h"
#include "tests/cpu/compiled_module.h"
#include "tests/ops/agreement.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

#include <cstring>
#include <elf.h>

using namespace linnet;
using linnet::cpu::testing::CompiledModule;
using reference::Tensor;

namespace {

const char *const kTwoLayers = R"(module attributes {linnet.bounds = {batch = 4}} {
func.func @main(%x: tensor<?x64xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x64xf32, #linnet.dims<batch>> {linnet.name = "out"}) {
  %w0 = linnet.param "w0" : tensor<64x64xf32>
  %w1 = linnet.param "w1" : tensor<64x64xf32>
  %0 = linnet.matmul %x, %w0 : tensor<?x64xf32, #linnet.dims<batch>>, tensor<64x64xf32> loc("layer.0")
  %1 = linnet.matmul %0, %w1 : tensor<?x64xf32, #linnet.dims<batch>>, tensor<64x64xf32> loc("layer.1")
  return %1 : tensor<?x64xf32, #linnet.dims<batch>>
}
})";

Result<CompiledModule> compile(const std::string &text, const CpuOptions &options = {},
                               std::vector<int64_t> weight_shape = {64, 64},
                               const PipelineSpec &pipeline = {}) {
  mlir::MLIRContext context;
  context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
  context.getDiagEngine().registerHandler([](mlir::Diagnostic &) {});
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  REQUIRE(module);
  const reference::WeightProvider weights = [&](std::string_view name) -> Result<Tensor> {
    if (name == "missing") return Error{"model.safetensors: no tensor missing"};
    return Tensor::zeros(reference::Kind::f32, weight_shape);
  };
  return CompiledModule::compile(*module, weights, options, pipeline);
}

/// The levels that two layers with weights of `dtype` have code for.
std::vector<std::string> levels(const std::string &dtype, const CpuOptions &options = {}) {
  auto compiled = compile(kTwoLayers, options, {64, 64}, {.dtype = dtype});
  REQUIRE(compiled.ok());
  std::vector<std::string> names;
  for (const fb::Code *code : *compiled->program().code()) names.push_back(code->isa()->str());
  return names;
}

std::string failure(const std::string &text, const CpuOptions &options = {},
                    std::vector<int64_t> weight_shape = {64, 64}) {
  auto result = compile(text, options, std::move(weight_shape));
  REQUIRE(!result.ok());
  return result.error().message;
}

template <class T> T at(const std::string &bytes, size_t offset) {
  REQUIRE(offset + sizeof(T) <= bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// The undefined names of the image, and the libraries that it needs.
int needs(const std::string &elf) {
  int count = 0;
  const auto header = at<Elf64_Ehdr>(elf, 0);
  for (int i = 0; i < header.e_shnum; ++i) {
    const auto section = at<Elf64_Shdr>(elf, header.e_shoff + i * sizeof(Elf64_Shdr));
    for (size_t entry = 0; section.sh_type == SHT_DYNSYM && entry < section.sh_size / sizeof(Elf64_Sym);
         ++entry)
      count += entry > 0 &&
               at<Elf64_Sym>(elf, section.sh_offset + entry * sizeof(Elf64_Sym)).st_shndx == SHN_UNDEF;
    for (size_t entry = 0; section.sh_type == SHT_DYNAMIC && entry < section.sh_size / sizeof(Elf64_Dyn);
         ++entry)
      count += at<Elf64_Dyn>(elf, section.sh_offset + entry * sizeof(Elf64_Dyn)).d_tag == DT_NEEDED;
  }
  return count;
}

} // namespace

TEST_CASE("equal ops share a kernel; commands say where they come from and what they cost") {
  auto compiled = compile(kTwoLayers);
  REQUIRE(compiled.ok());
  const fb::Program &program = compiled->program();
  CHECK(program.kernels()->size() == 1);
  CHECK(program.kernels()->Get(0)->str() == "matmul_f32_panel16x64_k64_n64");
  REQUIRE(program.entries()->size() == 1);
  const auto &commands = *program.entries()->Get(0)->commands();
  REQUIRE(commands.size() == 2);
  CHECK(commands.Get(1)->op()->str() == "matmul");
  CHECK(commands.Get(1)->location()->str() == "layer.1");
  REQUIRE(commands.Get(1)->flops()->terms()->size() == 1);
  CHECK(commands.Get(1)->flops()->terms()->Get(0)->coefficient() == 2 * 64 * 64);
  CHECK(program.weights()->size() == 2);
  CHECK(program.weights()->Get(0)->layout()->str() == "panel<16x64>");
  REQUIRE(program.code()->size() == 3);
  CHECK(program.code()->Get(2)->features()->size() == 0);
}

TEST_CASE("a level whose code would be the next one's is left out, unless it is the only one") {
  const std::vector<std::string> all = {"x86-64-v4-dot", "x86-64-v4", "x86-64-v3", "x86-64"};
  const std::vector<std::string> fewer(all.begin() + 1, all.end());
  CHECK(levels("f32") == fewer);
  CHECK(levels("f16") == fewer);
  CHECK(levels("bf16") == all);
  for (const cpu::Type type : {cpu::Type::i8, cpu::Type::i4}) {
    const cpu::PackedMatmulSpec bytes = {.k = 64, .n = 64, .a_stride = 64, .w = type};
    auto images = cpu::buildImages(std::vector{cpu::packedMatmulKernel(bytes)}, *cpu::selectIsas(""));
    REQUIRE(images.ok());
    for (const std::string &elf : *images) CHECK(!elf.empty());
  }
  const auto isas = cpu::selectIsas("");
  REQUIRE(isas.ok());
  for (const cpu::Isa &isa : *isas)
    if (cpu::hostRuns(isa)) CHECK(levels("f32", {.isas = isa.name}) == std::vector{isa.name});
  const std::vector<std::string> apart = {"x86-64-v4-dot", "x86-64-v3"};
  CHECK(levels("f32", {.isas = "x86-64-v4-dot,x86-64-v3"}) == apart);
}

TEST_CASE("a norm and the rounding behind it are one command") {
  auto compiled = compile(R"(module attributes {linnet.bounds = {batch = 4}} {
func.func @main(%x: tensor<?x64xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x64xbf16, #linnet.dims<batch>> {linnet.name = "out"}) {
  %g = linnet.param "g" : tensor<64xf32>
  %n = linnet.layer_norm %x, %g, %g {epsilon = 1.0e-5 : f32} : tensor<?x64xf32, #linnet.dims<batch>>, tensor<64xf32>, tensor<64xf32>
  %r = linnet.cast %n : tensor<?x64xf32, #linnet.dims<batch>> to tensor<?x64xbf16, #linnet.dims<batch>>
  return %r : tensor<?x64xbf16, #linnet.dims<batch>>
}
})",
                          {}, {64});
  REQUIRE(compiled.ok());
  REQUIRE(compiled->program().kernels()->size() == 1);
  CHECK(compiled->program().kernels()->Get(0)->str().starts_with(
      "layer_norm_f32_c64_eps3727c5ac_then_64x_fused_cast"));
  const auto &command = *compiled->program().entries()->Get(0)->commands()->Get(0);
  CHECK(command.body_as_KernelCall()->args()->size() == 6);
  CHECK(command.bytes()->terms()->size() > 1); // of both
}

TEST_CASE("commands of two entries stay apart") {
  auto compiled = compile(R"(module attributes {linnet.bounds = {batch = 4}} {
func.func @first(%x: tensor<?x64xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x64xf32, #linnet.dims<batch>> {linnet.name = "out"}) {
  %g = linnet.param "g" : tensor<64xf32>
  %n = linnet.layer_norm %x, %g, %g {epsilon = 1.0e-5 : f32} : tensor<?x64xf32, #linnet.dims<batch>>, tensor<64xf32>, tensor<64xf32>
  return %n : tensor<?x64xf32, #linnet.dims<batch>>
}
func.func @second(%x: tensor<?x64xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x64xbf16, #linnet.dims<batch>> {linnet.name = "out"}) {
  %r = linnet.cast %x : tensor<?x64xf32, #linnet.dims<batch>> to tensor<?x64xbf16, #linnet.dims<batch>>
  %s = linnet.softmax %r : tensor<?x64xbf16, #linnet.dims<batch>>
  return %s : tensor<?x64xbf16, #linnet.dims<batch>>
}
})",
                          {}, {64});
  REQUIRE(compiled.ok());
  CHECK(compiled->program().entries()->Get(0)->commands()->size() == 1);
  CHECK(compiled->program().entries()->Get(1)->commands()->size() == 2);
}

TEST_CASE("machine code needs nothing from outside, at any level") {
  const auto isas = cpu::selectIsas("");
  REQUIRE(isas.ok());
  std::vector<cpu::KernelSource> kernels = {
      cpu::kernelOf(backend::SoftmaxSpec{{.columns = 1000}}).source,
      cpu::kernelOf(backend::NormSpec{.x = {.columns = 37, .type = cpu::Type::f16}, .gain = cpu::Type::f16})
          .source,
      cpu::kernelOf(backend::ArgmaxSpec{{.columns = 50257}}).source,
      cpu::kernelOf(backend::CopySpec{.run = 4096, .in_stride = 4096, .out_stride = 4096}).source,
      cpu::packedMatmulKernel({.k = 64, .n = 129, .a_stride = 64, .activation = cpu::Activation::gelu_erf}),
      cpu::packedMatmulKernel(
          {.k = 64, .n = 64, .a_stride = 64, .a = cpu::Type::bf16, .w = cpu::Type::bf16})};
  auto images = cpu::buildImages(kernels, *isas);
  REQUIRE(images.ok());
  for (const std::string &elf : *images) CHECK(needs(elf) == 0);
}

TEST_CASE("native code is one level; unknown levels are named") {
  auto native = compile(kTwoLayers, {.isas = "native"});
  REQUIRE(native.ok());
  CHECK(native->program().code()->size() == 1);
  CHECK(failure(kTwoLayers, {.isas = "z80"}) ==
        "target cpu: expected native or some of x86-64-v4-dot, x86-64-v4, x86-64-v3, x86-64, found 'z80'");
}

TEST_CASE("the dump shows each kernel's IR and the assembly") {
  std::vector<std::string> seen;
  CpuOptions options;
  options.isas = "x86-64";
  options.listener = [&](const KernelText &kernel) {
    CHECK(kernel.text.find("matmul_f32_panel16x64_k64_n64") != std::string_view::npos);
    seen.push_back(fmt::format("{} {}.{}", kernel.level, kernel.name, kernel.form));
  };
  REQUIRE(compile(kTwoLayers, options).ok());
  CHECK(seen ==
        std::vector<std::string>{"x86-64 matmul_f32_panel16x64_k64_n64.ll", "x86-64 .ll", "x86-64 .s"});
}

TEST_CASE("what the target cannot do is refused by op and location") {
  CHECK(failure(kTwoLayers, {}, {64, 32}).find("w0: expected shape (64x64), the checkpoint has (64x32)") !=
        std::string::npos);
  const std::string dynamic_head = R"(module attributes {linnet.bounds = {d = 8}} {
func.func @main(%q: tensor<1x2x2x?xf32, #linnet.dims<d>> {linnet.name = "q"}, %k: tensor<1x2x4x?xf32, #linnet.dims<d>> {linnet.name = "k"}) -> (tensor<1x2x2x?xf32, #linnet.dims<d>> {linnet.name = "out"}) {
  %r = linnet.attention %q, %k, %k {scale = 1.0 : f32} : tensor<1x2x2x?xf32, #linnet.dims<d>>, tensor<1x2x4x?xf32, #linnet.dims<d>>, tensor<1x2x4x?xf32, #linnet.dims<d>> loc("h.0.attn")
  return %r : tensor<1x2x2x?xf32, #linnet.dims<d>>
}
})";
  CHECK(failure(dynamic_head) ==
        "h.0.attn: linnet.attention: target cpu needs a static head size, found (1, 2, 2, d)");
  const std::string relayout = R"(module {
func.func @main(%x: tensor<4x64xf32> {linnet.name = "x"}, %w: tensor<64x64xf32> {linnet.name = "w"}) -> (tensor<4x64xf32> {linnet.name = "out"}) {
  %p = linnet.relayout %w : tensor<64x64xf32> to tensor<64x64xf32, #linnet.panel<16x64>> loc("pack")
  %r = linnet.matmul %x, %p : tensor<4x64xf32>, tensor<64x64xf32, #linnet.panel<16x64>>
  return %r : tensor<4x64xf32>
}
})";
  CHECK(failure(relayout) == "pack: linnet.relayout: target cpu changes the layout of weights only");
  const std::string group = R"(module {
func.func @main(%x: tensor<4x64xf32> {linnet.name = "x"}) -> (tensor<4x64xf32> {linnet.name = "out"}) {
  %w = linnet.param "w" : tensor<64x64xi8>
  %s = linnet.param "s" : tensor<2x64xf32>
  %r = linnet.matmul %x, %w scale %s {group = 32 : i64, int8_rows = 1 : i64, int8_group = 48 : i64} : tensor<4x64xf32>, tensor<64x64xi8> scale tensor<2x64xf32> loc("up")
  return %r : tensor<4x64xf32>
}
})";
  CHECK(failure(group) ==
        "up: linnet.matmul: target cpu needs an int8_group of at most 256 that is a multiple of 4 for "
        "i8 and divides the group 32, found 48");
  const std::string missing = R"(module {
func.func @main(%x: tensor<4xf32> {linnet.name = "x"}) -> (tensor<4xf32> {linnet.name = "out"}) {
  %w = linnet.param "missing" : tensor<4xf32>
  %r = linnet.add %x, %w : tensor<4xf32>, tensor<4xf32>
  return %r : tensor<4xf32>
}
})";
  CHECK(failure(missing) == "model.safetensors: no tensor missing");
  const std::string doubles = R"(module {
func.func @main(%x: tensor<4xf64> {linnet.name = "x"}, %y: tensor<4xf32> {linnet.name = "y"}) -> (tensor<4xf32> {linnet.name = "out"}) {
  %r = linnet.add %y, %y : tensor<4xf32>, tensor<4xf32>
  return %r : tensor<4xf32>
}
})";
  CHECK(failure(doubles) == "@main: x: expected elements of f32, f16, bf16, i32, i8 or i4, found others");
}

TEST_CASE("rows are rounded to 8 bits where there are many, and only there") {
  const std::string type = GENERATE(std::string("i8"), std::string("i4"));
  const int64_t seq = GENERATE(2, 3, 11); // 4, 6 and 22 rows
  const std::string elements =
      GENERATE(std::string("0"), std::string("16"), std::string("32")); // that share a scale
  std::string text = R"(module attributes {linnet.bounds = {batch = 2, seq = 40}} {
func.func @main(%x: $x {linnet.name = "x"}) -> (tensor<?x?x130xf32, #linnet.dims<batch, seq>> {linnet.name = "out"}) {
  %w = linnet.param "w" : tensor<75x130x$t>
  %s = linnet.param "s" : tensor<3x130xf32>
  %r = linnet.matmul %x, %w scale %s {group = 32 : i64, int8_rows = 6 : i64, int8_group = $e : i64} : $x, tensor<75x130x$t> scale tensor<3x130xf32>
  return %r : tensor<?x?x130xf32, #linnet.dims<batch, seq>>
}
})";
  for (const auto &[name, value] : {std::pair<std::string, std::string>{"$t", type},
                                    {"$e", elements},
                                    {"$x", "tensor<?x?x75xf32, #linnet.dims<batch, seq>>"}})
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
      text.replace(at, name.size(), value);
  const bool many = 2 * seq >= 6;
  linnet::testing::checkAgreement({.text = text,
                                   .dims = {{"batch", 2}, {"seq", seq}},
                                   .integers = {{"w", type == "i8" ? 128 : 8}},
                                   .tolerance = many ? 1e-5 : 1e-4}); // few: 16 bits, not all of them
}

TEST_CASE("attention rounds its factors where there are many queries, and only there") {
  const int64_t seq = GENERATE(1, 4, 5, 23); // up to 37 keys are one block: their largest score is the row's
  const std::string size = GENERATE(std::string("20"), std::string("7"));
  std::string text = R"(module attributes {linnet.bounds = {batch = 2, seq = 40}} {
func.func @main(%q: $q {linnet.name = "q"}, %k: $k {linnet.name = "k"}, %v: $k {linnet.name = "v"}, %p: $p {linnet.name = "p"}) -> ($q {linnet.name = "out"}) {
  %r = linnet.attention %q, %k, %v past %p {scale = 0.25 : f32, bf16_rows = 5 : i64} : $q, $k, $k past $p
  return %r : $q
}
})";
  for (const auto &[name, value] :
       {std::pair<std::string, std::string>{"$q", "tensor<?x?x3x$dxf32, #linnet.dims<batch, seq>>"},
        {"$k", "tensor<?x3x37x$dxf32, #linnet.dims<batch>>"},
        {"$p", "tensor<?xi32, #linnet.dims<batch>>"},
        {"$d", size}})
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
      text.replace(at, name.size(), value);
  linnet::testing::checkAgreement({.text = text,
                                   .dims = {{"batch", 2}, {"seq", seq}},
                                   .integers = {{"p", 15}},
                                   // An exponential's last bit may round a weight of 20 the other way.
                                   .tolerance = seq >= 5 ? 5e-4 : 1e-5});
}
