// linnet inspect: checkpoints (inspect.cpp), artifacts (inspect_artifact.cpp), graphs (inspect_graph.cpp).
#pragma once
#include "support/result.h"
#include <cstdint>
#include <map>
#include <string>

namespace linnet::cli {

struct InspectOptions {
  std::string file;
  bool tensors = false, commands = false, cost = false, verify = false, module = false, json = false;
  std::map<std::string, int64_t> at; ///< values of symbols for --cost
};

Result<void> inspectArtifact(const InspectOptions &options);
Result<void> inspectGraph(const InspectOptions &options);

} // namespace linnet::cli
