// A family for tests: a bag of embeddings.
#pragma once
#include "frontend/model/family.h"

namespace linnet {
struct GraphParts;
class GraphBuilder;
} // namespace linnet

namespace linnet::bag {

struct Settings : FamilySettings {
  double norm_eps = 1e-5;

  static const Settings &of(const ModelDescription &model) {
    return static_cast<const Settings &>(*model.settings);
  }
};

const Family &family();
GraphParts graph(GraphBuilder &g);

} // namespace linnet::bag
