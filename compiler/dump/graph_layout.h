// Where everything of a graph is drawn. Nodes are rows in program order, one below the other, in a few
// columns that break between layers. A value read by the next row is an arrow between the two; any other runs
// in a lane on the right. What crosses from one column to another starts again at the top of that column.
// Nothing can overlap: each row is as high as its text and its ports, each port has a line of its own.
#pragma once
#include "compiler/dump/graph.h"

namespace linnet::dump {

/// An end of a lane at the right edge of a row.
struct GraphPort {
  int value;
  bool out; ///< leaves the row
  double y;
  std::string label; ///< written between the box and the lanes
};

struct GraphRow {
  int node = -1, from_value = -1; ///< a node; or the continuation of a value made in an earlier column
  int column = 0;
  std::string title;
  double x = 0, y = 0, width = 0, height = 0;
  std::vector<GraphPort> ports;
  int direct = -1;          ///< value that an arrow brings from the row above
  std::string direct_label; ///< beside that arrow
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
/// The lines written in a node's box below its title, in order.
struct GraphLines {
  std::vector<std::string> upper, body, lower; ///< body: in a box of its own
  size_t count() const { return upper.size() + body.size() + lower.size(); }
};
GraphLines linesOf(const GraphNode &node);

GraphLayout layoutOf(const Graph &graph);

} // namespace linnet::dump
