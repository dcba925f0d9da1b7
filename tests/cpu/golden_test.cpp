// GPT-2 through the whole path, against what PyTorch computed.
#include "backends/cpu/isa.h"
#include "frontend/model/graph.h"
#include "tests/catch.h"
#include "tests/cpu/compiled_module.h"
#include "tests/reference/fixtures.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "tests/folders.h"

using namespace linnet;
using linnet::cpu::testing::CompiledModule;
using linnet::testing::relativeError;
using reference::Named;
using reference::Tensor;

namespace {

struct Golden {
  Golden(const std::string &name, const CpuOptions &options) {
    const std::string directory = linnet::testing::golden(name);
    checkpoint = *Checkpoint::open(directory);
    expected = *SafetensorsFile::open(directory + "/expected.safetensors");
    module = buildGraph(context, checkpoint.config(), {.max_batch = 4, .entries = {}});
    auto made = CompiledModule::compile(*module, linnet::testing::weightsOf(checkpoint), options);
    if (!made) FAIL(made.error().message);
    compiled = *made;
  }
  Tensor want(const std::string &name) const {
    const TensorView *view = expected.find(name);
    REQUIRE(view);
    return linnet::testing::toTensor(*view);
  }
  Named run(const std::string &entry, const Tensor &ids, int past) {
    const int64_t batch = ids.shape[0];
    const std::vector<int32_t> seen(batch, past), length(batch, int32_t(ids.shape[1]));
    auto outputs = compiled.run(
        entry, {{"ids", ids}, {"past", Tensor::of({batch}, seen)}, {"length", Tensor::of({batch}, length)}});
    if (!outputs) FAIL(outputs.error().message);
    return *outputs;
  }

  mlir::MLIRContext context;
  Checkpoint checkpoint;
  SafetensorsFile expected;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  CompiledModule compiled;
};

// "" (every level in one artifact, the best of them running) and each level that this processor has.
std::vector<std::string> levelsThatRun() {
  std::vector<std::string> levels = {""};
  for (const cpu::Isa &isa : *cpu::selectIsas(""))
    if (cpu::hostRuns(isa)) levels.push_back(isa.name);
  return levels;
}

} // namespace

TEST_CASE("hidden states and logits equal PyTorch's on each instruction set") {
  const std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  const std::string isas = GENERATE(from_range(levelsThatRun()));
  Golden golden(name, {.isas = isas});
  const Tensor ids = golden.want("input_ids");
  const Named hidden = golden.run("hidden", ids, 0);
  double worst = relativeError(hidden.at("ln_f"), golden.want("ln_f"));
  for (int64_t i = 0; i <= golden.checkpoint.config().n_layer; ++i)
    worst = std::max(worst, relativeError(hidden.at("hidden." + std::to_string(i)),
                                          golden.want("hidden_states." + std::to_string(i))));
  const double logits = relativeError(golden.run("score", ids, 0).at("logits"), golden.want("logits"));
  INFO(name << " " << isas << ": hidden states " << worst << ", logits " << logits);
  CHECK(worst < 1e-5);
  CHECK(logits < 1e-5);
}

TEST_CASE("the greedy continuation is PyTorch's, whatever the chunks") {
  const std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  const size_t chunk = GENERATE(1, 2, 5);
  Golden golden(name, {});
  const Tensor want = golden.want("greedy_from_first_5");
  const std::vector<int32_t> expected(want.ints(), want.ints() + want.size());
  std::vector<int32_t> tokens(expected.begin(), expected.begin() + 5);
  for (size_t done = 0; tokens.size() < expected.size();) {
    const size_t n = std::min(chunk, tokens.size() - done);
    const std::vector<int32_t> part(tokens.begin() + long(done), tokens.begin() + long(done + n));
    const Named out = golden.run("generate", Tensor::of({1, int64_t(n)}, part), int(done));
    done += n;
    if (done == tokens.size()) tokens.push_back(out.at("token").ints()[0]);
  }
  CHECK(tokens == expected);
}
