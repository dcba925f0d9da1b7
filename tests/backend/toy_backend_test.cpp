// A backend is a folder and a line of registration: nothing else knows the toy backend, and models compile
// for it and run on it.
#include "support/error.h"
#include "tests/backend/toy_backend.h"
#include "tests/compiler/golden.h"

using namespace linnet;
using namespace linnet::testing;

TEST_CASE("a registered backend compiles golden checkpoints, and its device gives PyTorch's numbers") {
  std::map<std::string, int> ops;
  registerToy(ops);
  api().registerDevices();
  Scratch scratch;
  CompileOptions options;
  options.input = golden("tiny");
  options.output = scratch.file("toy.linnet");
  options.targets = {"toy"};
  const CompileReport report = compiled(options);
  REQUIRE(report.programs.size() == 1);
  CHECK(report.programs[0].target == "toy");
  // The description reaches the passes: epilogues run inside of matmuls, nothing else is fused.
  CHECK(ops["matmul"] > 0);
  CHECK(ops["gelu"] == 0);
  CHECK(ops["fused"] == 0);
  checkArtifact(options.output, "toy", Expected("tiny"));
}

TEST_CASE("messages name a registered target, and what it takes") {
  std::map<std::string, int> ops;
  registerToy(ops);
  Scratch scratch;
  CompileOptions options;
  options.input = golden("tiny");
  options.output = scratch.file("toy.linnet");
  options.targets = {"toy:fast"};
  CHECK(errorOf(api().compile(options)) == "target 'toy' takes nothing after its name, found ':fast'");
  options.targets = {"abacus"};
  CHECK(errorOf(api().compile(options)) == "unknown target 'abacus', expected cpu, vulkan, reference, toy");
  options.targets = {"toy"};
  options.emit = "llvm";
  CHECK(errorOf(api().compile(options)) == "--emit llvm: expected target cpu:native, found toy");
  CHECK(scratch.count() == 0);
}
