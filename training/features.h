// Embeddings of texts. The compiled model computes them once, and a file in the run's directory keeps them.
#pragma once
#include "linnet/graph.h"
#include "training/dataset.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet::training {

/// The results of @embed of a classifier's artifact, [examples, n_embd], in the order of the examples.
Result<Features> embedExamples(const std::string &artifact, const LoadOptions &options,
                               std::vector<Example> examples,
                               const std::function<bool(double fraction)> &progress);

/// Reads a file of features. An error if its key is not `key`. writeFeatures() writes it atomically.
Result<Features> readFeatures(const std::string &path, const std::string &key);
Result<void> writeFeatures(const std::string &path, const std::string &key, const Features &features);

/// The rows `which` of `features`.
Features rowsOf(const Features &features, const std::vector<size_t> &which);

} // namespace linnet::training
