// Embeddings of texts: computed once by the compiled model, kept in a file beside the run.
#pragma once
#include "linnet/graph.h"
#include "training/dataset.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet::training {

/// What @embed of a classifier's artifact gives for each example, in order: [examples, n_embd].
Result<Features> embedExamples(const std::string &artifact, const LoadOptions &options,
                               std::vector<Example> examples,
                               const std::function<bool(double fraction)> &progress);

/// A file of features is read if `key` is its own; it is written whole or not at all.
Result<Features> readFeatures(const std::string &path, const std::string &key);
Result<void> writeFeatures(const std::string &path, const std::string &key, const Features &features);

/// Rows `which` of all.
Features rowsOf(const Features &features, const std::vector<size_t> &which);

} // namespace linnet::training
