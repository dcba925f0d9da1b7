// Checks that liblinnet_runtime.so needs neither LLVM, MLIR nor oneDNN, directly or through other libraries.
#include "linnet/linnet.h"
#include "tests/catch.h"
#include "tests/folders.h"

#include <cstdio>
#include <filesystem>
#include <string>

namespace {
std::string output(const std::string &command) {
  std::string text;
  FILE *pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  REQUIRE(pclose(pipe) == 0);
  return text;
}
} // namespace

TEST_CASE("the runtime links neither LLVM, MLIR nor oneDNN") {
  std::string library = linnet::testing::buildFolder() + "/lib/liblinnet_runtime.so";
  std::string all = output("ldd '" + library + "'"), direct = output("readelf -d '" + library + "'");
  CHECK(all.find("libgomp") != std::string::npos); // the command tells something
  for (const char *name : {"LLVM", "MLIR", "libclang", "lldELF", "linnet_compiler", "dnnl", "OpenCL"}) {
    CHECK(all.find(name) == std::string::npos);
    CHECK(direct.find(name) == std::string::npos);
  }
  CHECK(all.find("not found") == std::string::npos);
}

// A function that onednn_functions.inc lacks would be an undefined symbol, which a shared library may have.
TEST_CASE("the runtime resolves every function of oneDNN itself") {
  const std::string library = linnet::testing::buildFolder() + "/lib/liblinnet_runtime.so";
  const std::string undefined = output("nm --dynamic --undefined-only '" + library + "'");
  CHECK(undefined.find("dlopen") != std::string::npos);
  CHECK(undefined.find("dnnl_") == std::string::npos);
}

// Hidden: only a release build without sanitizers is held to it (test runtime_size).
TEST_CASE("the runtime takes less than two million bytes", "[.size]") {
  const std::string library = linnet::testing::buildFolder() + "/lib/liblinnet_runtime.so";
  const std::string stripped = linnet::testing::buildFolder() + "/tests/liblinnet_runtime.stripped.so";
  output("strip -o '" + stripped + "' '" + library + "'");
  const auto bytes = std::filesystem::file_size(stripped);
  std::filesystem::remove(stripped);
  CAPTURE(bytes);
  CHECK(bytes < 2'000'000);
}

TEST_CASE("the shared library exports its public interface") {
  CHECK(std::string(linnet::version()) == "0.1.0");
  CHECK(linnet::artifactFormatVersion() == 1);
  auto model = linnet::Model::load("/nonexistent.linnet");
  REQUIRE(!model);
  CHECK(model.error().message.starts_with("/nonexistent.linnet: cannot open"));
  CHECK(!linnet::Graph::load("/nonexistent.linnet"));
  CHECK(std::string(linnet::finishReasonName(linnet::FinishReason::Eos)) == "eos");
}
