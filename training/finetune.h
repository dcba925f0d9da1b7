// A whole training run, from data to a checkpoint: linnet finetune and linnet train.
#pragma once
#include "compiler/api.h"
#include "linnet/model.h"
#include "linnet/profile.h"
#include "training/dataset.h"
#include "training/metrics.h"
#include "training/select.h"
#include "training/trainer.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace linnet::training {

enum class Task : uint8_t { LanguageModel, Classify };
/// Head and Layers: the body is frozen, and its embeddings are computed once. Partial: some parameters are
/// trained. Full: all are.
enum class Method : uint8_t { Head, Layers, Partial, Full };

struct FinetuneOptions {
  std::string model; ///< a checkpoint
  /// A new model with random weights instead of `model`. finetune() chooses its directory. Its n_positions is
  /// max_seq if that is set and init->config is not.
  std::optional<InitOptions> init;
  std::string data, output;
  Task task = Task::LanguageModel;
  Method method = Method::Full;

  ReadOptions read;
  LabelNames labels;         ///< empty: the model's if it is a classifier, else those in the file
  double held_out = 0.1;     ///< held-out share of the data
  std::string held_out_file; ///< held-out data instead of a share
  uint64_t seed = 0;         ///< for the split, the order of the data, and new parameters

  // A classifier's head. Empty: the model's settings, or "last", none, "gelu" for a new head. Without
  // new_head, settings that differ from the model's are an error.
  std::string pooling;
  std::vector<int64_t> hidden;
  std::string activation;
  bool new_head = false; ///< replaces the head of a model that is a classifier

  // For Method::Partial, exactly one of:
  std::string patterns;
  int64_t last_layers = 0;
  bool biases = false, norms = false;

  int64_t batch = 8, accumulate = 1, max_seq = 0; ///< 0: the model's n_positions
  double epochs = 3;
  int64_t steps = 0;                        ///< instead of epochs
  double lr = 0, min_lr = 0, warmup = 0.05; ///< lr 0: the method's default; warmup: share of the steps
  Decay decay = Decay::Cosine;
  double weight_decay = 0.01, clip = 1, layer_decay = 1, l2sp = 0;
  double dropout = 0;     ///< rate; not with head and layers
  bool decay_all = false; ///< also biases and layer norms
  int64_t evaluate_every = 0, patience = 0,
          checkpoint_every = 100; ///< evaluate_every 0: see evaluationsEvery()

  std::string title;    ///< title of the curves; empty: model, data, task and method
  std::string original; ///< a text on which the language model's loss is measured before and after
  std::string device = "cpu", dtype = "f32", save_dtype = "f32";
  int threads = 0;
  bool onednn = true; ///< as CompileOptions::onednn
  bool resume = false;
};

struct FinetuneEvents {
  TrainerEvents trainer;
  std::function<void(const std::string &what, double fraction)> progress; ///< before the first step
  /// Called before the first step with lines about the run, such as its memory.
  std::function<void(const std::string &line)> note;
  std::function<void(int64_t steps)> planned;
  std::shared_ptr<Profiler> profiler; ///< records steps and evaluations; may be null
};

struct FinetuneReport {
  Stop stop = Stop::Finished;
  RunState state;
  int64_t steps = 0;             ///< planned steps
  uint64_t trained = 0, all = 0; ///< numbers of parameters
  size_t texts = 0, held_out_texts = 0;
  int64_t positions = 0, trained_positions = 0; ///< the model's positions, and those that the data reach
  LabelNames labels;
  std::optional<double> held_out_loss;
  std::optional<Confusion> confusion;                    ///< on the held-out data, with the final parameters
  std::optional<double> original_before, original_after; ///< nats per token
  double seconds = 0;
};

/// The default learning rate.
double defaultRate(Method method);
/// The default number of steps between evaluations: an epoch, or a tenth of the run if that is less, so that
/// even a run of one epoch has a curve.
int64_t evaluationsEvery(int64_t steps, int64_t steps_to_an_epoch);
/// The last part of a path: "stories.json" for "data/stories.json", "model" for "runs/model/".
std::string shortName(const std::string &path);

Result<FinetuneReport> finetune(const CompilerApi &compiler, const FinetuneOptions &options,
                                const FinetuneEvents &events);

} // namespace linnet::training
