// A checkpoint of each family and setting (tests/golden), compiled for the cpu and the interpreter: the numbers,
// tokens, gradients and steps of transformers.
#include "tests/compiler/families.h"
#include "tests/compiler/golden.h"
#include "tests/compiler/training.h"

using namespace linnet;
using namespace linnet::testing;

TEST_CASE("checkpoints of all families give the logits and the greedy text of transformers") {
  api().registerDevices();
  const std::string name = GENERATE(from_range(kFamilyCheckpoints));
  CAPTURE(name);
  const Expected expected(name);
  Scratch scratch;
  CompileOptions options;
  options.input = golden(name);
  options.output = scratch.file("model.linnet");
  options.targets = {"cpu:native", "reference"};
  compiled(options);
  for (const char *device : {"cpu", "reference"}) {
    CAPTURE(device);
    checkArtifact(options.output, device, expected);
  }
  options.targets = {"cpu:native"};
  for (int level : {0, 1}) {
    CAPTURE(level);
    options.opt_level = level;
    compiled(options);
    checkArtifact(options.output, "cpu", expected);
  }
}

TEST_CASE("weights of all families in fewer bits: cpu gives the interpreter's numbers, and stays near "
          "transformers'") {
  api().registerDevices();
  struct Case {
    const char *dtype;
    /// Of the largest logit: the worst change of one by rounding weights, and the worst difference of cpu and
    /// interpreter. Twice what was measured, or more.
    double change, between;
  };
  const auto [dtype, change, between] =
      GENERATE(Case{"bf16", 0.05, 9e-3}, Case{"f16", 3.5e-3, 2e-6}, Case{"int8", 0.09, 3e-4},
               Case{"int4", 1, 3e-4}, Case{"int4a", 1.1, 3.5e-4});
  const std::string name =
      GENERATE(as<std::string>(), "llama3-scaled", "mistral-window", "qwen2", "qwen3", "gemma3", "gpt-neox");
  CAPTURE(name, dtype);
  const Expected expected(name);
  std::vector<TokenId> ids = expected.ids("input_ids");
  ids.resize(static_cast<size_t>(expected.columns("input_ids")));
  const std::vector<float> exact = expected.floats("logits");
  Scratch scratch;
  CompileOptions options;
  options.input = golden(name);
  options.output = scratch.file("model.linnet");
  options.targets = {"cpu:native", "reference"};
  options.dtype = dtype;
  options.kv_cache = "f32";
  options.disabled_passes = {"linnet-quantize-rows", "linnet-round-attention"}; // the interpreter has neither
  compiled(options);
  const Answer cpu = ask(options.output, "cpu", ids), reference = ask(options.output, "reference", ids);
  double largest = 0, apart = 0, changed = 0;
  for (size_t i = 0; i < reference.logits.size(); ++i) {
    largest = std::max(largest, std::fabs(double(reference.logits[i])));
    apart = std::max(apart, std::fabs(double(cpu.logits[i]) - reference.logits[i]));
    changed = std::max(changed, std::fabs(double(reference.logits[i]) - exact[i]));
  }
  CHECK(changed > 0);
  CHECK(changed < change * largest);
  CHECK(apart < between * largest);
}

TEST_CASE("losses, gradients and three AdamW steps of all families are those of transformers") {
  api().registerDevices();
  const std::string name = GENERATE(from_range(kFamilyCheckpoints));
  const std::string target = GENERATE(std::string("reference"), std::string("cpu:native"));
  CAPTURE(name, target);
  Scratch scratch;
  const auto start = *SafetensorsFile::open(golden(name) + "/model.safetensors");
  const auto expected = *SafetensorsFile::open(golden(name) + "/expected.safetensors");
  const std::string prefix = name.starts_with("gpt-neox") ? "gpt_neox." : "model.";
  const TensorView &ids = *expected.find("input_ids"), &labels = *expected.find("labels");
  TrainingOptions options;
  options.input = golden(name);
  options.output = scratch.file("train.linnet");
  options.target = target;
  options.max_batch = ids.shape[0], options.max_seq = ids.shape[1];
  auto canonical = [&](std::string file) {
    return file.starts_with(prefix) ? file.substr(prefix.size()) : file;
  };
  for (const TensorView &tensor : start.tensors())
    options.trainable.push_back({canonical(tensor.name), 1, 0.01f});
  auto gradient = [&](const std::string &parameter) {
    const TensorView *view = expected.find("grad." + prefix + parameter);
    if (!view) view = expected.find("grad." + parameter);
    if (!view && parameter == "embed_out.weight")
      view = expected.find("grad.lm_head.weight"); // PyTorch's name
    REQUIRE(view);
    return floatsOf(*view);
  };
  Training training(options, start, deviceOf(target), prefix);
  const std::vector<NamedTensor> batch = {{"ids", linnet::Tensor::fromInts(ids.shape, intsOf(ids))},
                                          {"labels", linnet::Tensor::fromInts(labels.shape, intsOf(labels))}};
  const std::vector<float> losses = floatsOf(*expected.find("losses"));
  const float scale = 1 / static_cast<float>(labels.elements());
  for (int step = 1; step <= 3; ++step) {
    const double loss = sum(training.run("accumulate", batch).at(0)) * scale;
    CHECK(std::fabs(loss - losses[size_t(step - 1)]) < 1e-4 * losses[size_t(step - 1)]);
    if (step == 1)
      for (const TrainedParameter &p : options.trainable) {
        CAPTURE(p.name);
        std::vector<float> found = training.state("grad." + p.name), want = gradient(p.name);
        for (float &value : found) value *= scale;
        // In transformers the embedding of the padding token, here 0, learns nothing where a text holds it.
        const auto width = size_t(expected.find("hidden_states.0")->shape.back());
        if (p.name.starts_with("embed_") && p.name != "embed_out.weight")
          std::copy_n(want.begin(), width, found.begin());
        CHECK(difference(found, want) < 1e-3);
      }
    training.update(step, scale);
  }
  CHECK(sum(training.run("evaluate", batch).at(0)) * scale < losses[2]);
}

TEST_CASE("classifiers give the scores of transformers, whatever the padding") {
  api().registerDevices();
  const std::string name = GENERATE(from_range(kFamilyClassifiers));
  CAPTURE(name);
  const Expected expected(name);
  Scratch scratch;
  CompileOptions options;
  options.input = golden(name);
  options.output = scratch.file("model.linnet");
  options.targets = {"cpu:native", "reference"};
  compiled(options);
  const std::vector<TokenId> ids = expected.ids("input_ids"), lengths = expected.ids("lengths");
  const std::vector<float> want = expected.floats("class_logits");
  const auto columns = size_t(expected.columns("input_ids")),
             labels = size_t(expected.columns("class_logits"));
  for (const char *device : {"cpu", "reference"}) {
    CAPTURE(device);
    auto model = Model::load(options.output, {.device = device, .threads = 2});
    if (!model) FAIL(model.error().message);
    auto session = Session::open(*model);
    REQUIRE(session);
    for (size_t row = 0; row < lengths.size(); ++row) {
      auto found = session->classify(std::vector<std::vector<TokenId>>{
          {ids.begin() + long(row * columns), ids.begin() + long(row * columns) + lengths[row]}});
      if (!found) FAIL(found.error().message);
      REQUIRE(found->front().scores.size() == labels);
      for (size_t i = 0; i < labels; ++i)
        CHECK(std::fabs(found->front().scores[i] - want[row * labels + i]) < 1e-4);
    }
  }
}
