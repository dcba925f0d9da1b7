// One entry of a module as a graph to draw: no MLIR here, so that layouts and pictures are plain code.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace linnet::dump {

/// What an edge carries: one result of a node.
struct GraphValue {
  int node = 0;
  std::string type;       ///< "batch×seq×768 f32"
  std::string short_type; ///< the same with the size: "batch×seq×768 f32 · 3.0 KiB"
  int64_t bytes = 0;      ///< at the bounds; -1 when unknown
};

struct GraphUse {
  int value = 0;
  std::string role; ///< "residual", "q", "cache"; empty where an op has one operand or all are alike
};

/// An op or an input. Weights and constants are lines in the op that reads them; what an entry returns is a
/// line in the op that computes it.
struct GraphNode {
  enum Kind { input, state, matmul, attention, norm, fused, lookup, move, other };
  Kind kind = other;
  int number = -1;   ///< of the command, in program order; -1 for inputs and for views
  std::string name;  ///< "matmul"; of an input its name
  std::string place; ///< "blocks.0.attn.qkv", where the location says so
  std::string layer; ///< "blocks.0", or empty
  std::vector<std::string> details, weights, body, returns; ///< body: ops of a fused region, one a line
  std::string memory;                                       ///< where the plan puts the result
  bool view = false;                                        ///< no memory of its own
  bool in_place = false;                                    ///< writes over an operand
  std::vector<GraphUse> uses;                               ///< each value once
  std::vector<int> results;
};

struct Graph {
  std::string entry, title, subtitle;
  std::vector<GraphNode> nodes; ///< an order in which every value is made before it is used
  std::vector<GraphValue> values;
};

/// A colour to fill a box of that kind with, light enough for black text.
const char *colourOf(GraphNode::Kind kind);
const char *nameOf(GraphNode::Kind kind);
/// "#12 matmul blocks.0.attn.qkv", "state k.0"
std::string titleOf(const GraphNode &node);

/// Graphviz; layers are clusters.
std::string toDot(const Graph &graph);
/// Drawn by itself, needs no Graphviz.
std::string toSvg(const Graph &graph);

} // namespace linnet::dump
