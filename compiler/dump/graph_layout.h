// Computes the positions of a drawn graph. Nodes are rows in program order, in a few columns that break
// between layers. A value that the next row reads is an arrow between the two. Any other value runs in a lane
// on the right. A value that crosses into another column starts again at the top of that column. Nothing
// overlaps: each row is as high as its text and its ports, and each port has a separate line.
#pragma once
#include "compiler/dump/graph.h"

namespace linnet::dump {

/// An end of a lane at the right edge of a row.
struct GraphPort {
  int value;
  bool out; ///< leaves the row
  double y;
  std::string label; ///< text between the box and the lanes
};

struct GraphRow {
  int node = -1, from_value = -1; ///< a node; or the continuation of a value made in an earlier column
  int column = 0;
  std::string title;
  double x = 0, y = 0, width = 0, height = 0;
  std::vector<GraphPort> ports;
  int direct = -1;          ///< value of the arrow from the row above
  std::string direct_label; ///< text next to that arrow
};

struct GraphLane {
  int value, column;
  double x, from, to;
};

struct GraphFrame { ///< around a layer's rows
  std::string title;
  double x, y, width, height;
};

struct GraphLayout {
  std::vector<GraphRow> rows;
  std::vector<GraphLane> lanes;
  std::vector<GraphFrame> frames;
  double width = 0, height = 0;
};

constexpr double kGraphLine = 14, kGraphLetters = 11, kGraphSmall = 10; ///< pixels
/// The lines of a node's box below its title, in order.
struct GraphLines {
  std::vector<std::string> upper, body, lower; ///< body: in an inner box
  size_t count() const { return upper.size() + body.size() + lower.size(); }
};
GraphLines linesOf(const GraphNode &node);

GraphLayout layoutOf(const Graph &graph);

} // namespace linnet::dump
