// The graph of a bag of embeddings: each token's embedding, and the mean of those up to it, weighted by
// attention.
#include "frontend/model/graph.h"
#include "ir/Linnet.h"
#include "tests/families/bag/family.h"

#include <cmath>

using mlir::Value;

namespace linnet::bag {

GraphParts graph(GraphBuilder &g) {
  const int64_t c = g.model.n_embd;
  Value x = g.embed("embed", g.model.vocab_size, g.ids());
  g.at("bag");
  Value heads = g.heads(x, 0, 1, c);
  Value mean = g.attention(heads, heads, heads, 0, {.scale = 1 / std::sqrt(static_cast<double>(c))}, "bag");
  GraphParts parts;
  parts.hidden = {x, g.b.create<ir::AddOp>(x, g.dropped(mean))};
  parts.norm_name = "norm";
  parts.norm = [&g](Value x) { return g.layerNorm(x, "norm", Settings::of(g.model).norm_eps); };
  parts.logits = [&g](Value x) { return g.head(x, "embed.weight"); };
  return parts;
}

} // namespace linnet::bag
