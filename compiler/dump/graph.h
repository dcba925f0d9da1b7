// One entry of a module as a graph for drawing. It does not depend on MLIR.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace linnet::dump {

/// The value of an edge: one result of a node.
struct GraphValue {
  int node = 0;
  std::string type;       ///< "batch×seq×768 f32"
  std::string short_type; ///< the same with the size: "batch×seq×768 f32 · 3.0 KiB"
  int64_t bytes = 0;      ///< at the bounds; -1 if unknown
};

struct GraphUse {
  int value = 0;
  std::string role; ///< "residual", "q", "cache"; empty if an op has one operand or all have the same role
};

/// An op or an input. Weights and constants are lines in the op that reads them. A returned value is a line
/// in the op that computes it.
struct GraphNode {
  enum Kind { input, state, matmul, attention, norm, fused, lookup, move, other };
  Kind kind = other;
  int number = -1;   ///< number of the command in program order; -1 for inputs and views
  std::string name;  ///< "matmul"; for an input its name
  std::string place; ///< location: "blocks.0.attn.qkv"
  std::string layer; ///< "blocks.0", or empty
  std::vector<std::string> details, weights, body, returns; ///< body: ops of a fused region, one per line
  std::string memory;                                       ///< planned memory of the result
  bool view = false;                                        ///< has no separate memory
  bool in_place = false;                                    ///< overwrites an operand
  std::vector<GraphUse> uses;                               ///< without duplicates
  std::vector<int> results;
};

struct Graph {
  std::string entry, title, subtitle;
  std::vector<GraphNode> nodes; ///< in an order that defines every value before its uses
  std::vector<GraphValue> values;
};

/// A colour to fill a box of that kind with, light enough for black text.
const char *colourOf(GraphNode::Kind kind);
const char *nameOf(GraphNode::Kind kind);
/// "#12 matmul blocks.0.attn.qkv", "state k.0"
std::string titleOf(const GraphNode &node);

/// The graph for Graphviz; layers are clusters.
std::string toDot(const Graph &graph);
/// The graph as a picture, without Graphviz.
std::string toSvg(const Graph &graph);

} // namespace linnet::dump
