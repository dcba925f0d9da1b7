// Where a number that is not finite began: a graph of two matmuls on the cpu, traced by the interpreter.
#include "tests/compiler/scratch.h"
#include "training/compiled_program.h"

#include <cmath>
#include <optional>

using namespace linnet;
using namespace linnet::testing;
using namespace linnet::training;

namespace {

constexpr const char *kGraph = R"(
func.func @loss(%x: tensor<?x2xf32, #linnet.dims<batch>> {linnet.name = "x"},
                %labels: tensor<?xi32, #linnet.dims<batch>> {linnet.name = "labels"})
    -> (tensor<?xf32, #linnet.dims<batch>> {linnet.name = "loss"}) attributes {linnet.bounds = {batch = 4}} {
  %a = linnet.param "a" : tensor<2x2xf32>
  %b = linnet.param "b" : tensor<2x2xf32>
  %0 = linnet.matmul %x, %a : tensor<?x2xf32, #linnet.dims<batch>>, tensor<2x2xf32>
  %1 = linnet.matmul %0, %b : tensor<?x2xf32, #linnet.dims<batch>>, tensor<2x2xf32>
  %2 = linnet.cross_entropy %1, %labels : tensor<?x2xf32, #linnet.dims<batch>>, tensor<?xi32, #linnet.dims<batch>>
  return %2 : tensor<?xf32, #linnet.dims<batch>>
})";

/// The program for the cpu, with every element of "a" and "b" given; the interpreter's is compiled on demand.
struct Traced {
  Traced(float a, float b) {
    api().registerDevices();
    auto loaded = CompiledProgram::load(compiled("cpu:native"), {.device = "cpu", .threads = 1}, {});
    if (!loaded) FAIL(loaded.error().message);
    program.emplace(std::move(*loaded));
    program->setChecker([this]() -> Result<std::string> { return compiled("reference"); });
    fill("param.a", a);
    fill("param.b", b);
  }
  std::string compiled(const std::string &target) {
    TrainingOptions options;
    options.input = folder.write("loss.mlir", kGraph);
    // All of them are trained: none is read.
    options.weights = folder.write("none.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10));
    options.output = folder.file(target.substr(0, 3) + ".linnet");
    options.target = target;
    options.trainable = {{"a"}, {"b"}};
    auto report = api().compileTraining(options);
    if (!report) FAIL(report.error().message);
    return report->output;
  }
  void fill(const char *state, float value) {
    // The second column has the other sign: two classes, of which label 1 is always the wrong one.
    const float values[] = {value, state[6] == 'b' ? -value : value, value, state[6] == 'b' ? -value : value};
    REQUIRE(program->write(state, values).ok());
  }
  static Batch batch(float x) {
    Batch made;
    made.rows = 1;
    made.features = {x, x};
    made.labels = {1};
    made.counted = 1;
    return made;
  }
  std::string trace(Quantity quantity, float x, int count) {
    std::vector<Replay> replays(static_cast<size_t>(count), Replay{batch(x)});
    auto found = program->firstNonFinite(quantity, replays);
    return found ? *found : "error: " + found.error().message;
  }

  Scratch folder;
  std::optional<CompiledProgram> program;
};

} // namespace

TEST_CASE("a finite loss with a gradient that is not finite changes nothing, and the op is named") {
  struct Case {
    float a, b, x;
    int batches;
    const char *op;
  };
  const Case cases[] = {{1e-30f, 1e15f, 1e30f, 1, "linnet.contract at "}, // an element
                        {1e-36f, 30, 3e36f, 2, "linnet.contract at "},    // the sum of two batches
                        {1e-30f, 30, 1e30f, 1, "linnet.mul at a: "}};     // the squares only
  for (const Case &c : cases) {
    CAPTURE(c.a, c.b, c.x);
    Traced traced(c.a, c.b);
    for (int i = 0; i < c.batches; ++i) {
      auto loss = traced.program->accumulate(Traced::batch(c.x), 0);
      REQUIRE(loss.ok());
      CHECK(std::isfinite(*loss));
    }
    auto before = *traced.program->read("param.a");
    auto norm = traced.program->update({1, 1e-3, 1});
    REQUIRE(norm.ok());
    CHECK(!std::isfinite(*norm));
    CHECK(*traced.program->read("param.a") == before);
    std::string found = traced.trace(Quantity::Gradient, c.x, c.batches);
    CHECK_THAT(found, Catch::Matchers::StartsWith(c.op));
    CHECK_THAT(found, Catch::Matchers::EndsWith(": element 0 of 4 is inf"));
  }
}

TEST_CASE("a healthy step has nothing to trace, and a loss is traced to its op") {
  Traced traced(0.5f, 0.5f);
  CHECK(traced.trace(Quantity::Loss, 1, 1) == "the forward pass, on this device only");
  CHECK(traced.trace(Quantity::Gradient, 1, 2) == "the sum of the gradient's squares, on this device only");
  CHECK_THAT(traced.trace(Quantity::Loss, 3e38f, 1), Catch::Matchers::StartsWith("linnet.cross_entropy at "));
  CHECK_THAT(traced.trace(Quantity::HeldOutLoss, 3e38f, 1),
             Catch::Matchers::StartsWith("linnet.cross_entropy at "));
  traced.fill("param.b", NAN);
  CHECK(traced.trace(Quantity::Loss, 1, 1) == "param.b[0] = nan");
}
