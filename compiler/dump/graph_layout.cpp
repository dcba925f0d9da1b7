#include "compiler/dump/graph_layout.h"

#include "compiler/dump/svg.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace linnet::dump {
namespace {

constexpr double kMargin = 24, kHeader = 92;       // around the picture; for its title and legend
constexpr double kGap = 24, kPad = 8;              // between rows; inside of boxes
constexpr double kFrameTitle = 36, kFramePad = 12; // of layers
constexpr double kLaneStep = 11, kLaneFirst = 16;  // between lanes; from the labels to the first
constexpr double kColumnGap = 40, kAspect = 1.5;   // between columns; of the whole picture, wanted

/// Rows that must be in one column: a layer, or one row outside layers.
struct Block {
  std::string layer;
  std::vector<int> nodes;
};

std::vector<Block> blocksOf(const Graph &graph) {
  std::vector<Block> blocks;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::string &layer = graph.nodes[i].layer;
    if (layer.empty() || blocks.empty() || blocks.back().layer != layer) blocks.push_back({layer, {}});
    blocks.back().nodes.push_back(static_cast<int>(i));
  }
  return blocks;
}

class Layout {
public:
  explicit Layout(const Graph &graph) : graph(graph), last_column(graph.values.size(), -1) {}

  GraphLayout run() {
    std::vector<Block> blocks = blocksOf(graph);
    box_width = boxWidth();
    assignColumns(blocks);
    double x = kMargin;
    for (int column = 0; column < columns_used; ++column) x = addColumn(column, blocks, x) + kColumnGap;
    out.width = x - kColumnGap + kMargin;
    out.height += kMargin;
    return std::move(out);
  }

private:
  double boxWidth() const {
    double width = 220;
    for (const GraphNode &node : graph.nodes) {
      GraphLines lines = linesOf(node);
      width = std::max(width, textWidth(titleOf(node), kGraphLetters));
      for (const auto *part : {&lines.upper, &lines.body, &lines.lower})
        for (const std::string &line : *part) width = std::max(width, textWidth(line, kGraphSmall) + 12);
    }
    return std::ceil(width) + 2 * kPad;
  }

  /// An estimate of a row's height, without its ports.
  double heightOf(const GraphNode &node) const {
    return (static_cast<double>(linesOf(node).count()) + 1) * kGraphLine + 2 * kPad + kGap;
  }

  void assignColumns(const std::vector<Block> &blocks) {
    std::vector<double> heights;
    double total = 0;
    for (const Block &block : blocks) {
      double height = block.layer.empty() ? 0 : kFrameTitle + kFramePad;
      for (int node : block.nodes) height += heightOf(graph.nodes[node]);
      heights.push_back(height);
      total += height;
    }
    double wide = box_width + 420;
    double count = std::max(1.0, std::round(std::sqrt(kAspect * total / wide)));
    double target = total / count, filled = 0;
    column_of_node.assign(graph.nodes.size(), 0);
    int column = 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
      if (filled > 0 && filled + heights[i] / 2 > target) ++column, filled = 0;
      filled += heights[i];
      for (int node : blocks[i].nodes) column_of_node[node] = column;
    }
    // A few ops after the last layer do not get a separate column.
    if (column > 0 && filled < target / 4) {
      for (int &of_node : column_of_node) of_node = std::min(of_node, column - 1);
      --column;
    }
    columns_used = column + 1;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      for (const GraphUse &use : graph.nodes[i].uses)
        last_column[use.value] = std::max(last_column[use.value], column_of_node[i]);
  }

  //===- one column ------------------------------------------------------------------------------------===//

  double addColumn(int column, const std::vector<Block> &blocks, double x) {
    size_t first = out.rows.size();
    row_of_value.clear();
    addContinuations(column);
    std::vector<std::pair<size_t, const Block *>> starts; // of layers: first row
    std::vector<size_t> ends;
    for (const Block &block : blocks) {
      if (column_of_node[block.nodes.front()] != column) continue;
      if (!block.layer.empty()) starts.push_back({out.rows.size(), &block});
      for (int node : block.nodes) addRow(node);
      if (!block.layer.empty()) ends.push_back(out.rows.size() - 1);
    }
    connect(first, column);
    double labels = labelWidth(first);
    place(first, x + kFramePad, starts, ends);
    for (size_t i = 0; i < starts.size(); ++i) {
      const GraphRow &top = out.rows[starts[i].first], &bottom = out.rows[ends[i]];
      out.frames.push_back({starts[i].second->layer, x, top.y - kFrameTitle,
                            box_width + 2 * kFramePad + labels,
                            bottom.y + bottom.height - top.y + kFrameTitle + kFramePad});
    }
    return addLanes(first, column, x + box_width + 2 * kFramePad + labels + kLaneFirst);
  }

  /// Adds rows for the values from earlier columns that this column reads.
  void addContinuations(int column) {
    std::vector<bool> wanted(graph.values.size());
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      if (column_of_node[i] == column)
        for (const GraphUse &use : graph.nodes[i].uses)
          if (column_of_node[graph.values[use.value].node] < column) wanted[use.value] = true;
    for (size_t value = 0; value < wanted.size(); ++value) {
      if (!wanted[value]) continue;
      GraphRow row;
      row.from_value = static_cast<int>(value);
      row.title = "from " + titleOf(graph.nodes[graph.values[value].node]);
      row_of_value[row.from_value] = out.rows.size();
      out.rows.push_back(std::move(row));
    }
  }

  void addRow(int node) {
    GraphRow row;
    row.node = node;
    row.title = titleOf(graph.nodes[node]);
    for (int value : graph.nodes[node].results) row_of_value[value] = out.rows.size();
    out.rows.push_back(std::move(row));
  }

  /// Adds arrows to the next row, and ports for other values.
  void connect(size_t first, int column) {
    std::map<int, bool> needs_lane, arrow;
    for (size_t i = first; i < out.rows.size(); ++i) {
      GraphRow &row = out.rows[i];
      row.column = column;
      if (row.node < 0) continue;
      for (const GraphUse &use : graph.nodes[row.node].uses) {
        const GraphValue &value = graph.values[use.value];
        bool next = row_of_value.at(use.value) + 1 == i;
        if (next && row.direct < 0) {
          row.direct = use.value;
          row.direct_label = (use.role.empty() ? "" : use.role + ": ") + value.short_type;
          arrow[use.value] = true;
          continue;
        }
        needs_lane[use.value] = true;
        row.ports.push_back(
            {use.value, false, 0,
             (use.role.empty() ? "" : use.role + " ") + "← " + titleOf(graph.nodes[value.node])});
      }
    }
    for (auto &[value, row] : row_of_value) {
      bool later = column_of_node[graph.values[value].node] == column && last_column[value] > column;
      if (!needs_lane[value] && !later) continue;
      std::string label = graph.values[value].short_type;
      if (later) label += needs_lane[value] || arrow[value] ? ", also next column" : " → next column";
      out.rows[row].ports.push_back({value, true, 0, label});
    }
  }

  double labelWidth(size_t first) const {
    double width = 150;
    for (size_t i = first; i < out.rows.size(); ++i)
      for (const GraphPort &port : out.rows[i].ports)
        width = std::max(width, textWidth(port.label, kGraphSmall));
    return std::ceil(width) + 12;
  }

  void place(size_t first, double x, const std::vector<std::pair<size_t, const Block *>> &starts,
             const std::vector<size_t> &ends) {
    double y = kHeader;
    for (size_t i = first; i < out.rows.size(); ++i) {
      GraphRow &row = out.rows[i];
      for (const auto &start : starts)
        if (start.first == i) y += kFrameTitle;
      double lines = row.node < 0 ? 1 : static_cast<double>(linesOf(graph.nodes[row.node]).count()) + 1;
      lines = std::max(lines, static_cast<double>(row.ports.size()));
      row.x = x, row.y = y, row.width = box_width, row.height = lines * kGraphLine + 2 * kPad;
      for (size_t port = 0; port < row.ports.size(); ++port)
        row.ports[port].y = y + kPad + kGraphLine * (static_cast<double>(port) + 1) - 1;
      y += row.height + kGap;
      if (std::count(ends.begin(), ends.end(), i)) y += kFramePad;
    }
    out.height = std::max(out.height, y);
  }

  /// Adds lanes, short ones near the boxes, each at the first position that is free over its length.
  double addLanes(size_t first, int column, double x) {
    std::map<int, GraphLane> lanes;
    for (size_t i = first; i < out.rows.size(); ++i)
      for (const GraphPort &port : out.rows[i].ports) {
        auto [lane, fresh] = lanes.try_emplace(port.value, GraphLane{port.value, column, 0, port.y, port.y});
        lane->second.from = std::min(lane->second.from, port.y);
        lane->second.to = std::max(lane->second.to, port.y);
      }
    std::vector<GraphLane> sorted;
    for (const auto &[value, lane] : lanes)
      if (lane.to > lane.from) sorted.push_back(lane);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const GraphLane &a, const GraphLane &b) { return a.to - a.from < b.to - b.from; });
    std::vector<std::vector<const GraphLane *>> taken;
    for (GraphLane &lane : sorted) {
      size_t at = 0;
      auto free = [&](const GraphLane *other) {
        return other->to + 4 < lane.from || lane.to + 4 < other->from;
      };
      while (at < taken.size() && !std::all_of(taken[at].begin(), taken[at].end(), free)) ++at;
      if (at == taken.size()) taken.emplace_back();
      taken[at].push_back(&lane);
      lane.x = x + kLaneStep * static_cast<double>(at);
    }
    out.lanes.insert(out.lanes.end(), sorted.begin(), sorted.end());
    return x + kLaneStep * static_cast<double>(taken.size());
  }

  const Graph &graph;
  GraphLayout out;
  double box_width = 0;
  int columns_used = 1;
  std::vector<int> column_of_node, last_column; ///< last_column: by value, the last column that reads it
  std::map<int, size_t> row_of_value;           ///< in the column being laid out
};

} // namespace

GraphLines linesOf(const GraphNode &node) {
  GraphLines lines;
  auto add = [](std::vector<std::string> &to, const std::string &line) { to.push_back(shortened(line, 72)); };
  for (const std::string &line : node.details) add(lines.upper, line);
  for (const std::string &line : node.weights) add(lines.upper, line);
  for (const std::string &line : node.body) add(lines.body, line);
  if (!node.memory.empty()) add(lines.lower, node.memory);
  for (const std::string &line : node.returns) add(lines.lower, "⇒ " + line);
  return lines;
}

GraphLayout layoutOf(const Graph &graph) { return Layout(graph).run(); }

} // namespace linnet::dump
