// Training programs of whole models, by the interpreter and by the target LINNET_TRAINING_TARGET, against
// PyTorch's numbers (tests/golden): losses, gradients, parameters after three steps of AdamW, a classifier's
// head.
#include "tests/compiler/training.h"
#include "tests/folders.h"

#include <fmt/format.h>

#include <map>

using namespace linnet;
using namespace linnet::testing;

TEST_CASE("losses, gradients and three AdamW steps of golden checkpoints") {
  api().registerDevices();
  std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  std::string target = GENERATE(std::string("reference"), std::string(LINNET_TRAINING_TARGET));
  CAPTURE(name, target);
  Scratch scratch;
  auto start = *SafetensorsFile::open(golden(name) + "/model.safetensors");
  auto expected = *SafetensorsFile::open(golden(name) + "/expected.safetensors");
  const TensorView &ids = *expected.find("input_ids"), &labels = *expected.find("labels");
  TrainingOptions options;
  options.input = golden(name);
  options.output = scratch.file("train.linnet");
  options.target = target;
  options.max_batch = ids.shape[0] + 1, options.max_seq = ids.shape[1] + 2;
  for (const TensorView &tensor : start.tensors()) options.trainable.push_back({tensor.name, 1, 0.01f});
  Training training(options, start, deviceOf(target));
  std::vector<NamedTensor> batch = {{"ids", Tensor::fromInts(ids.shape, intsOf(ids))},
                                    {"labels", Tensor::fromInts(labels.shape, intsOf(labels))}};
  std::vector<float> losses = floatsOf(*expected.find("losses"));
  float scale = 1 / static_cast<float>(labels.elements());
  for (int step = 1; step <= 3; ++step) {
    double loss = sum(training.run("accumulate", batch).at(0)) * scale;
    CHECK(std::fabs(loss - losses[step - 1]) < 1e-4 * losses[step - 1]);
    if (step == 1) {
      double square = 0;
      for (const TrainedParameter &p : options.trainable) {
        CAPTURE(p.name);
        std::vector<float> found = training.state("grad." + p.name);
        for (float &value : found) value *= scale;
        for (float value : found) square += double(value) * value;
        CHECK(difference(found, floatsOf(*expected.find("grad." + p.name))) < 1e-4);
      }
      CHECK(std::fabs(training.update(step, scale) - std::sqrt(square)) < 1e-4 * std::sqrt(square));
      for (float value : training.state("grad.wte.weight")) REQUIRE(value == 0);
      continue;
    }
    training.update(step, scale);
  }
  for (const TrainedParameter &p : options.trainable) {
    CAPTURE(p.name);
    std::vector<float> found = training.state("param." + p.name),
                       want = floatsOf(*expected.find("step3." + p.name));
    // A key's bias moves all scores of a query alike, which softmax does not see: its gradient is 0 but for
    // rounding, and Adam makes steps of that. All that is known of it is how far three steps can go.
    size_t third = p.name.ends_with("attn.c_attn.bias") ? want.size() / 3 : 0;
    for (size_t i = third; i < 2 * third; ++i) {
      REQUIRE(std::fabs(found[i] - want[i]) < 2 * 3 * 1.1e-3);
      found[i] = want[i];
    }
    CHECK(difference(found, want) < 1e-4);
  }
  double loss = sum(training.run("evaluate", batch).at(0)) * scale;
  CHECK(loss < losses[2]);
}

// Matmuls of operands in bf16, 8 bits of significand: how far that moves the loss and the gradients.
TEST_CASE("bf16 compute stays close to f32, and the cpu to the interpreter") {
  api().registerDevices();
  std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  CAPTURE(name);
  Scratch scratch;
  auto start = *SafetensorsFile::open(golden(name) + "/model.safetensors");
  auto expected = *SafetensorsFile::open(golden(name) + "/expected.safetensors");
  const TensorView &ids = *expected.find("input_ids"), &labels = *expected.find("labels");
  std::vector<NamedTensor> batch = {{"ids", Tensor::fromInts(ids.shape, intsOf(ids))},
                                    {"labels", Tensor::fromInts(labels.shape, intsOf(labels))}};
  float scale = 1 / static_cast<float>(labels.elements());
  std::map<std::string, std::vector<float>> interpreted;
  double loss = 0, worst_beside_f32 = 0;
  for (std::string target : {"reference", LINNET_TRAINING_TARGET}) {
    CAPTURE(target);
    TrainingOptions options;
    options.input = golden(name);
    options.output = scratch.file("train.linnet");
    options.target = target;
    options.dtype = "bf16";
    options.max_batch = ids.shape[0], options.max_seq = ids.shape[1];
    for (const TensorView &tensor : start.tensors()) options.trainable.push_back({tensor.name});
    Training training(options, start, deviceOf(target));
    double found_loss = sum(training.run("accumulate", batch).at(0)) * scale;
    float golden_loss = floatsOf(*expected.find("losses"))[0];
    CHECK(std::fabs(found_loss - golden_loss) < 5e-3 * golden_loss);
    CHECK(std::fabs(sum(training.run("evaluate", batch).at(0)) * scale - found_loss) < 1e-5 * found_loss);
    if (loss != 0) CHECK(std::fabs(found_loss - loss) < 1e-4 * loss);
    loss = found_loss;
    for (const TrainedParameter &p : options.trainable) {
      CAPTURE(p.name);
      std::vector<float> found = training.state("grad." + p.name),
                         want = floatsOf(*expected.find("grad." + p.name));
      for (float &value : found) value *= scale;
      worst_beside_f32 = std::max(worst_beside_f32, difference(found, want));
      // A number that two sums of other order round to different neighbours of 2^-9 away goes on as either.
      if (target == "reference")
        interpreted[p.name] = found;
      else
        CHECK(difference(found, interpreted[p.name]) < 2e-2);
    }
    training.update(1, scale);
    CHECK(sum(training.run("evaluate", batch).at(0)) * scale < found_loss);
  }
  CAPTURE(worst_beside_f32);
  CHECK(worst_beside_f32 < 5e-2);
  CHECK(worst_beside_f32 > 1e-4); // it is bf16 that was computed in
}

TEST_CASE("dropout: the key decides, evaluation has none, the gradient is of the loss that was seen") {
  api().registerDevices();
  Scratch scratch;
  auto start = *SafetensorsFile::open(golden("odd") + "/model.safetensors");
  auto expected = *SafetensorsFile::open(golden("odd") + "/expected.safetensors");
  const TensorView &ids = *expected.find("input_ids"), &labels = *expected.find("labels");
  std::map<int, double> losses;
  std::map<int, std::vector<float>> gradients;
  for (std::string target : {"reference", LINNET_TRAINING_TARGET}) {
    CAPTURE(target);
    TrainingOptions options;
    options.input = golden("odd");
    options.output = scratch.file("train.linnet");
    options.target = target;
    options.dropout = 0.2f;
    options.max_batch = ids.shape[0], options.max_seq = ids.shape[1];
    for (const TensorView &tensor : start.tensors()) options.trainable.push_back({tensor.name});
    Training training(options, start, deviceOf(target));
    auto batch = [&](std::optional<int32_t> seed) {
      std::vector<NamedTensor> inputs = {{"ids", Tensor::fromInts(ids.shape, intsOf(ids))},
                                         {"labels", Tensor::fromInts(labels.shape, intsOf(labels))}};
      if (seed) inputs.push_back({"seed", Tensor::fromInts({2}, std::vector<int32_t>{-7, *seed})});
      return inputs;
    };
    double whole = floatsOf(*expected.find("losses"))[0] * double(labels.elements());
    CHECK(std::fabs(sum(training.run("evaluate", batch({})).at(0)) - whole) < 1e-4 * whole);
    for (int seed : {1, 2}) {
      double loss = sum(training.run("accumulate", batch(seed)).at(0));
      std::vector<float> gradient = training.state("grad.wte.weight");
      training.update(1, 1, 3e38f, 0);
      CHECK(std::fabs(loss - whole) > 1e-4 * whole);
      CHECK(sum(training.run("accumulate", batch(seed)).at(0)) == loss);
      training.update(1, 1, 3e38f, 0);
      if (target == "reference") {
        losses[seed] = loss, gradients[seed] = gradient;
      } else {
        CHECK(std::fabs(loss - losses[seed]) < 1e-4 * loss);
        CHECK(difference(gradient, gradients[seed]) < 1e-4);
      }
    }
    CHECK(losses[1] != losses[2]);
  }
}

TEST_CASE("micro-batches add up, ignored labels count for nothing, clipping bounds the step") {
  api().registerDevices();
  Scratch scratch;
  auto start = *SafetensorsFile::open(golden("tiny") + "/model.safetensors");
  auto expected = *SafetensorsFile::open(golden("tiny") + "/expected.safetensors");
  std::vector<int32_t> ids = intsOf(*expected.find("input_ids")), labels = intsOf(*expected.find("labels"));
  int64_t rows = expected.find("input_ids")->shape[0], seq = expected.find("input_ids")->shape[1];
  TrainingOptions options;
  options.input = golden("tiny");
  options.output = scratch.file("train.linnet");
  options.target = LINNET_TRAINING_TARGET;
  options.max_batch = rows, options.max_seq = seq;
  options.trainable = {{"h.1.mlp.c_fc.weight"}, {"ln_f.bias"}}; // the rest is frozen
  Training training(options, start, deviceOf(options.target));
  auto batch = [&](int64_t first, int64_t count, const std::vector<int32_t> &targets) {
    auto part = [&](const std::vector<int32_t> &all) {
      return Tensor::fromInts({count, seq}, std::span(all).subspan(size_t(first * seq), size_t(count * seq)));
    };
    return std::vector<NamedTensor>{{"ids", part(ids)}, {"labels", part(targets)}};
  };
  training.run("accumulate", batch(0, rows, labels));
  std::vector<float> whole = training.state("grad.h.1.mlp.c_fc.weight");
  float scale = 1 / static_cast<float>(rows * seq);
  CHECK(difference(whole, [&] {
          std::vector<float> values = floatsOf(*expected.find("grad.h.1.mlp.c_fc.weight"));
          for (float &value : values) value /= scale;
          return values;
        }()) < 1e-4);
  training.graph->resetStates();
  CHECK_FALSE(training.graph->readState("grad.h.0.mlp.c_fc.weight"));
  for (const TrainedParameter &p : options.trainable) {
    std::vector<float> values = floatsOf(*start.find(p.name));
    REQUIRE(training.graph->writeState("param." + p.name, std::as_bytes(std::span(values))));
  }
  for (int64_t row = 0; row < rows; ++row) training.run("accumulate", batch(row, 1, labels));
  CHECK(difference(training.state("grad.h.1.mlp.c_fc.weight"), whole) < 1e-5);

  // The same batch again with every label ignored changes nothing; a label of -100 is one of -1.
  std::vector<int32_t> ignored(labels.size(), -100);
  ignored[0] = -1;
  std::vector<float> before = training.state("grad.h.1.mlp.c_fc.weight");
  auto out = training.run("accumulate", batch(0, rows, ignored));
  CHECK(sum(out.at(0)) == 0);
  CHECK(training.state("grad.h.1.mlp.c_fc.weight") == before);

  // The first step of Adam moves by lr whatever the gradient's size; m says what went in.
  float norm = training.update(1, scale, 0.01f);
  REQUIRE(norm > 0.01f);
  double square = 0;
  for (const char *name : {"m.h.1.mlp.c_fc.weight", "m.ln_f.bias"})
    for (float m : training.state(name)) square += 100.0 * m * m;
  CHECK(std::fabs(std::sqrt(square) - 0.01) < 1e-5);
}

// oneDNN multiplies trained weights, and would do so in OpenMP's threads, which spin after each call.
TEST_CASE("a step takes no threads but the team's") {
  api().registerDevices();
  Scratch scratch;
  auto start = *SafetensorsFile::open(golden("tiny") + "/model.safetensors");
  auto expected = *SafetensorsFile::open(golden("tiny") + "/expected.safetensors");
  const TensorView &ids = *expected.find("input_ids"), &labels = *expected.find("labels");
  TrainingOptions options;
  options.input = golden("tiny");
  options.output = scratch.file("train.linnet");
  options.target = LINNET_TRAINING_TARGET;
  options.max_batch = ids.shape[0], options.max_seq = ids.shape[1];
  for (const TensorView &tensor : start.tensors()) options.trainable.push_back({tensor.name});
  Training training(options, start, deviceOf(options.target));
  auto threads = [] {
    std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  const auto before = threads();
  training.run("accumulate", {{"ids", Tensor::fromInts(ids.shape, intsOf(ids))},
                              {"labels", Tensor::fromInts(labels.shape, intsOf(labels))}});
  training.update(1, 1);
  CHECK(threads() <= before + 1); // the second of two
}

TEST_CASE("a head on embeddings has PyTorch's loss and gradients") {
  api().registerDevices();
  std::string name = GENERATE(std::string("tiny"), std::string("odd"));
  std::string target = GENERATE(std::string("reference"), std::string(LINNET_TRAINING_TARGET));
  CAPTURE(name, target);
  Scratch scratch;
  auto head = *SafetensorsFile::open(golden(name) + "/classifier.safetensors");
  auto expected = *SafetensorsFile::open(golden(name) + "/expected.safetensors");
  const TensorView &ln_f = *expected.find("ln_f"), &weight = *head.find("score.weight");
  int64_t rows = ln_f.shape[0], seq = ln_f.shape[1], width = ln_f.shape[2], classes = weight.shape[0];
  TrainingOptions options;
  options.input = scratch.write("head.mlir", fmt::format(R"(
func.func @loss(%x: tensor<?x{1}x{2}xf32, #linnet.dims<batch>> {{linnet.name = "x"}},
                %length: tensor<?xi32, #linnet.dims<batch>> {{linnet.name = "length"}},
                %labels: tensor<?xi32, #linnet.dims<batch>> {{linnet.name = "labels"}})
    -> (tensor<?xf32, #linnet.dims<batch>> {{linnet.name = "loss"}}) attributes {{linnet.bounds = {{batch = {0}}}}} {{
  %w = linnet.param "score.weight" : tensor<{3}x{2}xf32>
  %b = linnet.param "score.bias" : tensor<{3}xf32>
  %p = linnet.pool last %x, %length : tensor<?x{1}x{2}xf32, #linnet.dims<batch>>, tensor<?xi32, #linnet.dims<batch>>
  %0 = linnet.matmul %p, %w bias %b {{transpose_rhs}} : tensor<?x{2}xf32, #linnet.dims<batch>>, tensor<{3}x{2}xf32> bias tensor<{3}xf32>
  %1 = linnet.cross_entropy %0, %labels : tensor<?x{3}xf32, #linnet.dims<batch>>, tensor<?xi32, #linnet.dims<batch>>
  return %1 : tensor<?xf32, #linnet.dims<batch>>
}})",
                                                         rows, seq, width, classes));
  options.output = scratch.file("head.linnet");
  options.target = target;
  options.trainable = {{"score.weight"}, {"score.bias"}};
  options.weights = golden(name) + "/classifier.safetensors";
  Training training(options, head, deviceOf(target));
  std::vector<int32_t> length(size_t(rows), static_cast<int32_t>(seq));
  auto out = training.run("accumulate", {{"x", Tensor::fromFloats(ln_f.shape, floatsOf(ln_f))},
                                         {"length", Tensor::fromInts({rows}, length)},
                                         {"labels", Tensor::fromInts({rows}, intsOf(*head.find("labels")))}});
  float want = floatsOf(*head.find("loss"))[0];
  CHECK(std::fabs(sum(out.at(0)) / double(rows) - want) < 1e-4 * want);
  for (const TrainedParameter &p : options.trainable) {
    std::vector<float> found = training.state("grad." + p.name);
    for (float &value : found) value /= static_cast<float>(rows);
    CHECK(difference(found, floatsOf(*head.find("grad." + p.name))) < 1e-4);
  }
}

TEST_CASE("what cannot be trained is refused in one line") {
  Scratch scratch;
  TrainingOptions options;
  options.input = golden("tiny");
  options.output = scratch.file("train.linnet");
  options.trainable = {{"ln_f.bias"}};
  auto with = [&](auto change) {
    TrainingOptions other = options;
    change(other);
    return errorOf(api().compileTraining(other));
  };
  auto contains = [](const std::string &text, const char *part) { return text.find(part) != text.npos; };
  CHECK(contains(with([](auto &o) { o.trainable = {{"h.9.bias"}}; }),
                 "@loss has no parameter \"h.9.bias\"; it has "));
  CHECK(contains(with([](auto &o) { o.trainable = {}; }), "no parameter to train was named"));
  CHECK(contains(with([](auto &o) { o.task = "sing"; }),
                 "unknown task 'sing', expected lm, classify or features"));
  CHECK(contains(with([](auto &o) { o.task = "classify"; }),
                 "task classify is for a classifier, this is a language model"));
  CHECK(contains(with([](auto &o) { o.max_seq = 1000; }), "a row has 1000 positions, expected from 1 to"));
  CHECK(contains(with([](auto &o) { o.max_batch = 0; }), "the batch is 0, expected from 1 to 65536"));
  CHECK(contains(with([](auto &o) { o.dtype = "int8"; }),
                 "training computes in f32 or bf16, found dtype 'int8'"));
  CHECK(contains(with([](auto &o) { o.dropout = 1; }), "dropout is 1, expected from 0 to less than 1"));
  CHECK(scratch.count() == 0);
}
