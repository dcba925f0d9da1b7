// A graph other than GPT-2, from text to numbers: a perceptron of three layers with softmax. Also bad text.
#include "linnet/graph.h"
#include "tests/compiler/scratch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

using namespace linnet;
using namespace linnet::testing;

namespace {

constexpr const char *kPerceptron = R"(
// x (batch, 10) -> softmax of three layers, 10 -> 16 -> 12 -> 5
func.func @main(%x: tensor<?x10xf32, #linnet.dims<batch>> {linnet.name = "x"}) -> (tensor<?x5xf32, #linnet.dims<batch>> {linnet.name = "y"})
    attributes {linnet.bounds = {batch = 64}} {
  %w0 = linnet.param "w0" : tensor<10x16xf32>
  %b0 = linnet.param "b0" : tensor<16xf32>
  %w1 = linnet.param "w1" : tensor<12x16xf32>
  %b1 = linnet.param "b1" : tensor<12xf32>
  %w2 = linnet.param "w2" : tensor<12x5xf32>
  %0 = linnet.matmul %x, %w0 : tensor<?x10xf32, #linnet.dims<batch>>, tensor<10x16xf32>
  %1 = linnet.add %0, %b0 : tensor<?x16xf32, #linnet.dims<batch>>, tensor<16xf32>
  %2 = linnet.relu %1 : tensor<?x16xf32, #linnet.dims<batch>>
  %3 = linnet.matmul %2, %w1 {transpose_rhs} : tensor<?x16xf32, #linnet.dims<batch>>, tensor<12x16xf32>
  %4 = linnet.add %3, %b1 : tensor<?x12xf32, #linnet.dims<batch>>, tensor<12xf32>
  %5 = linnet.tanh %4 : tensor<?x12xf32, #linnet.dims<batch>>
  %6 = linnet.matmul %5, %w2 : tensor<?x12xf32, #linnet.dims<batch>>, tensor<12x5xf32>
  %7 = linnet.softmax %6 : tensor<?x5xf32, #linnet.dims<batch>>
  return %7 : tensor<?x5xf32, #linnet.dims<batch>>
}
)";

using Values = std::vector<float>;
using Weights = std::map<std::string, std::pair<std::vector<int64_t>, Values>>;

Values draw(std::mt19937 &random, size_t n) {
  std::normal_distribution<float> normal(0, 0.5f);
  Values values(n);
  for (float &value : values) value = normal(random);
  return values;
}

Weights drawWeights() {
  std::mt19937 random(42);
  return {{"w0", {{10, 16}, draw(random, 160)}},
          {"b0", {{16}, draw(random, 16)}},
          {"w1", {{12, 16}, draw(random, 192)}},
          {"b1", {{12}, draw(random, 12)}},
          {"w2", {{12, 5}, draw(random, 60)}}};
}

/// The safetensors format by hand: header length, JSON, data.
std::string safetensors(const Weights &weights) {
  std::string header = "{", data;
  for (const auto &[name, tensor] : weights) {
    size_t begin = data.size();
    data.append(reinterpret_cast<const char *>(tensor.second.data()), 4 * tensor.second.size());
    std::string shape;
    for (int64_t size : tensor.first) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    header += (header.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":"F32","shape":[)" + shape +
              R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  header += "}";
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

/// rows (n) of x (n, in) through w, (in, out) or (out, in) when transposed, plus b.
std::vector<double> layer(const std::vector<double> &x, int in, int out, const Values &w, bool transposed,
                          const Values &b) {
  size_t rows = x.size() / in;
  std::vector<double> y(rows * out);
  for (size_t r = 0; r < rows; ++r)
    for (int o = 0; o < out; ++o) {
      double sum = b.empty() ? 0 : b[o];
      for (int i = 0; i < in; ++i) sum += x[r * in + i] * w[transposed ? o * in + i : i * out + o];
      y[r * out + o] = sum;
    }
  return y;
}

std::vector<double> perceptron(const Values &input, Weights weights) {
  std::vector<double> x(input.begin(), input.end());
  x = layer(x, 10, 16, weights["w0"].second, false, weights["b0"].second);
  for (double &v : x) v = std::max(v, 0.0);
  x = layer(x, 16, 12, weights["w1"].second, true, weights["b1"].second);
  for (double &v : x) v = std::tanh(v);
  x = layer(x, 12, 5, weights["w2"].second, false, {});
  for (size_t r = 0; r < x.size() / 5; ++r) {
    double sum = 0;
    for (int i = 0; i < 5; ++i) sum += x[r * 5 + i] = std::exp(x[r * 5 + i]);
    for (int i = 0; i < 5; ++i) x[r * 5 + i] /= sum;
  }
  return x;
}

void checkPerceptron(const std::string &artifact, const std::string &device, const Weights &weights) {
  auto graph = Graph::load(artifact, {.device = device});
  if (!graph) FAIL(graph.error().message);
  std::mt19937 random(1);
  for (int64_t batch : {1, 3, 64}) {
    CAPTURE(device, batch);
    Values x = draw(random, static_cast<size_t>(batch) * 10);
    std::vector<NamedTensor> inputs = {{"x", Tensor::fromFloats({batch, 10}, x)}};
    auto outputs = graph->run("main", inputs);
    if (!outputs) FAIL(outputs.error().message);
    REQUIRE(outputs->size() == 1);
    CHECK(outputs->at(0).name == "y");
    CHECK(outputs->at(0).tensor.shape == std::vector<int64_t>{batch, 5});
    std::vector<double> expected = perceptron(x, weights);
    auto found = outputs->at(0).tensor.floats();
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(std::fabs(found[i] - expected[i]) < 1e-5);
  }
}

/// The perceptron with its params replaced by constants.
std::string withConstants(const Weights &weights) {
  std::string text = kPerceptron;
  for (const auto &[name, tensor] : weights) {
    std::string hex = "\"0x";
    for (float value : tensor.second) {
      unsigned char bytes[4];
      char digits[9];
      std::memcpy(bytes, &value, 4);
      snprintf(digits, sizeof(digits), "%02X%02X%02X%02X", bytes[0], bytes[1], bytes[2], bytes[3]);
      hex += digits;
    }
    std::string param = "linnet.param \"" + name + "\" :";
    size_t at = text.find(param);
    REQUIRE(at != text.npos);
    text.replace(at, param.size(), "linnet.constant dense<" + hex + "\"> :");
  }
  return text;
}

} // namespace

TEST_CASE("a perceptron compiles and runs, with weights from a file or constants in the text") {
  api().registerDevices();
  Scratch scratch;
  Weights weights = drawWeights();
  CompileOptions options;
  options.output = scratch.file("mlp.linnet");
  options.targets = {"cpu:native", "reference"};
  options.opt_level = GENERATE(0, 2);
  bool constants = GENERATE(false, true);
  CAPTURE(constants, options.opt_level);
  if (constants) {
    options.input = scratch.write("mlp.mlir", withConstants(weights));
  } else {
    options.input = scratch.write("mlp.mlir", kPerceptron);
    options.weights = scratch.write("mlp.safetensors", safetensors(weights));
  }
  auto report = api().compile(options);
  if (!report) FAIL(report.error().message);
  for (const char *device : {"cpu", "reference"}) checkPerceptron(options.output, device, weights);
}

TEST_CASE("a graph that cannot be compiled is refused with its line") {
  Scratch scratch;
  std::string weights = scratch.write("w.safetensors", safetensors(drawWeights()));
  size_t before = scratch.count() + 1;
  auto message = [&](const std::string &text, const std::string &weights_file = "") {
    CompileOptions options;
    options.input = scratch.write("bad.mlir", text);
    options.output = scratch.file("out.linnet");
    options.weights = weights_file;
    options.targets = {"reference", "cpu:native"};
    std::string error = errorOf(api().compile(options));
    CHECK(error.find('\n') == error.npos);
    CHECK(scratch.count() == before);
    size_t path = error.find(options.input);
    if (path != error.npos) error.replace(path, options.input.size(), "bad.mlir");
    return error;
  };
  auto contains = [](const std::string &text, const std::string &part) {
    INFO(text);
    CHECK(text.find(part) != text.npos);
  };
  std::string function = "func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {\n";
  contains(message(""), "bad.mlir");
  contains(message("func.func @main("), "bad.mlir:1:");
  contains(message(function + "  %0 = linnet.frobnicate %x : tensor<4x8xf32>\n}"), "bad.mlir:2:");
  contains(message(function + "  %0 = linnet.matmul %x, %x : tensor<4x8xf32>, tensor<4x8xf32>\n}"),
           "K differs");
  contains(message(function + "  %0 = arith.negf %x : tensor<4x8xf32>\n  return %0 : tensor<4x8xf32>\n}"),
           "bad.mlir:2:");
  contains(message(kPerceptron), "no file of weights was given (--weights)");
  contains(
      message(std::string(kPerceptron).replace(std::string(kPerceptron).find("batch = 64"), 10, "rows = 64"),
              weights),
      "batch");
  std::string other = kPerceptron;
  size_t name = other.find("\"b1\"");
  contains(message(other.replace(name, 4, "\"b9\""), weights), "no tensor 'b9'");
  other = kPerceptron;
  contains(message(other.replace(other.find("\"b1\""), 4, "\"b0\""), weights),
           "linnet.param \"b0\" has shape (12), the weights have (16)");
  contains(
      message(
          "func.func private @main(%x: tensor<4xf32>) -> tensor<4xf32> {\n  return %x : tensor<4xf32>\n}"),
      "no public function");
  contains(message("func.func @main(%x: i32) -> i32 {\n  return %x : i32\n}"), "expected tensors");
  contains(message(std::string(1000, '(')), "nested deeper than 200");
  contains(message(function + std::string(100000, '[') + "}"), "bad.mlir:2: brackets are nested deeper");
  contains(message(std::string("ML\xefR", 4) + std::string(100, '\1')), "bytecode");
  contains(message(std::string("func\0.func", 10)), "zero byte");
  contains(message("func.func @main(%x: tensor<1099511627776x1099511627776xf32>) -> "
                   "tensor<1099511627776x1099511627776xf32> {\n  return %x : "
                   "tensor<1099511627776x1099511627776xf32>\n}"),
           "too large");
  contains(message(function +
                   "  %0 = func.call @main(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>\n  return %0 : "
                   "tensor<4x8xf32>\n}"),
           "bad.mlir:2:");
  contains(
      message(
          "func.func @main(%x: tensor<4xf32> {linnet.name = \"a\"}, %y: tensor<4xf32> {linnet.name = \"a\"}) "
          "-> tensor<4xf32> {\n  return %x : tensor<4xf32>\n}"),
      "\"a\"");

  CompileOptions options;
  options.input = scratch.write("bad.mlir", kPerceptron);
  options.output = scratch.file("out.linnet");
  options.max_context = 5;
  contains(errorOf(api().compile(options)), "--max-context and --max-batch are for checkpoints");
}

TEST_CASE("unnamed arguments and results get names, and a state outlives a call") {
  api().registerDevices();
  Scratch scratch;
  CompileOptions options;
  options.input = scratch.write("count.mlir", R"(
func.func @add(%x: tensor<4xf32>, %total: tensor<4xf32> {linnet.state = "total"}) -> (tensor<4xf32>, tensor<4xf32> {linnet.state = "total"}) {
  %0 = linnet.add %total, %x : tensor<4xf32>, tensor<4xf32>
  return %0, %0 : tensor<4xf32>, tensor<4xf32>
}
)");
  options.output = scratch.file("count.linnet");
  options.targets = {"cpu:native", "reference"};
  auto report = api().compile(options);
  if (!report) FAIL(report.error().message);
  for (const char *device : {"cpu", "reference"}) {
    CAPTURE(device);
    auto graph = Graph::load(options.output, {.device = device});
    if (!graph) FAIL(graph.error().message);
    std::vector<float> x = {1, 2, 3, 4};
    std::vector<NamedTensor> inputs = {{"arg0", Tensor::fromFloats({4}, x)}};
    for (int call = 1; call <= 3; ++call) {
      auto outputs = graph->run("add", inputs);
      if (!outputs) FAIL(outputs.error().message);
      REQUIRE(outputs->size() == 1);
      CHECK(outputs->at(0).name == "result0");
      auto found = outputs->at(0).tensor.floats();
      for (int i = 0; i < 4; ++i) CHECK(found[i] == x[i] * call);
    }
  }
}
