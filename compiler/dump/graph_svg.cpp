#include "compiler/dump/graph_layout.h"
#include "compiler/dump/svg.h"

#include <fmt/format.h>
#include <map>

namespace linnet::dump {
namespace {

/// Adjacent lanes have different colours.
const char *laneColour(int value) {
  constexpr const char *kColours[] = {"#0969da", "#bc4c00", "#1a7f37", "#8250df",
                                      "#9a6700", "#cf222e", "#0b7285"};
  return kColours[value % 7];
}

class Painter {
public:
  explicit Painter(const Graph &graph) : graph(graph), layout(layoutOf(graph)) {}

  std::string run() {
    header();
    for (const GraphFrame &frame : layout.frames) {
      svg.rect({frame.x, frame.y, frame.width, frame.height},
               R"(class="layer" rx="6" fill="#f6f8fa" stroke="#afb8c1")");
      svg.text(frame.x + 36, frame.y + 15, frame.title, 12, R"(class="layer-title" font-weight="bold")");
    }
    for (const GraphLane &lane : layout.lanes) drawLane(lane);
    for (const GraphRow &row : layout.rows) drawPorts(row);
    for (size_t i = 0; i < layout.rows.size(); ++i) {
      if (layout.rows[i].direct >= 0) drawArrow(layout.rows[i - 1], layout.rows[i]);
      drawBox(layout.rows[i]);
    }
    return svg.finish(std::max(layout.width, 760.0), layout.height, graph.title);
  }

private:
  void header() {
    svg.text(24, 30, graph.title, 16, R"(class="title" font-weight="bold")");
    if (!graph.subtitle.empty()) svg.text(24, 50, graph.subtitle, kGraphLetters, R"(fill="#57606a")");
    std::map<int, bool> present;
    for (const GraphNode &node : graph.nodes) present[node.kind] = true;
    double x = 24;
    for (const auto &[kind, ignored] : present) {
      auto each = static_cast<GraphNode::Kind>(kind);
      svg.rect({x, 62, 12, 12}, fmt::format(R"(class="legend" fill="{}" stroke="#57606a")", colourOf(each)));
      svg.text(x + 17, 72, nameOf(each), kGraphSmall);
      x += 17 + textWidth(nameOf(each), kGraphSmall) + 16;
    }
    auto border = [&](const char *name, const char *attributes) {
      svg.rect({x, 62, 12, 12}, fmt::format(R"(class="legend" fill="#ffffff" {})", attributes));
      svg.text(x + 17, 72, name, kGraphSmall);
      x += 17 + textWidth(name, kGraphSmall) + 16;
    };
    border("writes over its operand", R"(stroke="#cf222e" stroke-width="2")");
    border("a view, without separate memory", R"(stroke="#57606a" stroke-dasharray="3 2")");
  }

  /// Draws the vertical part of a lane; the stubs belong to the ports.
  void drawLane(const GraphLane &lane) {
    const GraphValue &value = graph.values[lane.value];
    svg.path(
        fmt::format("M{:.2f} {:.2f}V{:.2f}", lane.x, lane.from, lane.to),
        fmt::format(R"(class="lane" fill="none" stroke="{}" stroke-width="1.6")", laneColour(lane.value)),
        titleOf(graph.nodes[value.node]) + ": " + value.short_type);
    lane_x[{lane.value, lane.column}] = lane.x;
  }

  void drawPorts(const GraphRow &row) {
    double right = row.x + row.width;
    for (const GraphPort &port : row.ports) {
      auto lane = lane_x.find({port.value, row.column});
      double end = lane == lane_x.end() ? right + 12 + textWidth(port.label, kGraphSmall) : lane->second;
      const char *colour = laneColour(port.value);
      svg.line(right, port.y, end, port.y,
               fmt::format(R"(class="stub" stroke="{}" stroke-width="1.1")", colour));
      if (port.out)
        svg.rect({right - 2, port.y - 2, 4, 4}, fmt::format(R"(class="port" fill="{}")", colour));
      else
        arrowHead(right, port.y, true, colour);
      if (lane != lane_x.end())
        svg.raw(fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="2.2" fill="{}"/>)", end, port.y, colour));
      svg.text(right + 9, port.y - 3, port.label, kGraphSmall, R"(class="edge")");
    }
  }

  void arrowHead(double x, double y, bool left, const char *colour) {
    std::string d =
        left ? fmt::format("M{:.2f} {:.2f}l7 -3v6z", x, y) : fmt::format("M{:.2f} {:.2f}l-3 -7h6z", x, y);
    svg.path(d, fmt::format(R"(fill="{}")", colour));
  }

  void drawArrow(const GraphRow &from, const GraphRow &to) {
    double x = to.x + 10, begin = from.y + from.height;
    svg.line(x, begin, x, to.y - 6, R"(class="arrow" stroke="#1b1f24" stroke-width="1.4")");
    arrowHead(x, to.y, false, "#1b1f24");
    svg.text(x + 8, to.y - 8, to.direct_label, kGraphSmall, R"(class="edge")");
  }

  void drawBox(const GraphRow &row) {
    if (row.node < 0) {
      svg.rect({row.x, row.y, row.width, row.height},
               R"(class="from" rx="10" fill="#ffffff" stroke="#8c959f" stroke-dasharray="3 3")");
      svg.text(row.x + 10, row.y + 19, row.title, kGraphSmall, R"(fill="#57606a")");
      return;
    }
    const GraphNode &node = graph.nodes[row.node];
    bool port = node.kind == GraphNode::input || node.kind == GraphNode::state;
    svg.rect({row.x, row.y, row.width, row.height},
             fmt::format(R"(class="node" rx="{}" fill="{}" stroke="{}" stroke-width="{}"{})", port ? 12 : 3,
                         colourOf(node.kind), node.in_place ? "#cf222e" : "#57606a", node.in_place ? 2 : 1,
                         node.view ? R"( stroke-dasharray="4 3")" : ""),
             tooltipOf(node));
    double x = row.x + 8, y = row.y + 8 + 11;
    svg.text(x, y, row.title, kGraphLetters, R"(class="name" font-weight="bold")");
    GraphLines lines = linesOf(node);
    auto write = [&](const std::vector<std::string> &part, double indent, const char *attributes) {
      for (const std::string &line : part)
        svg.text(x + indent, y += kGraphLine, line, kGraphSmall, attributes);
    };
    write(lines.upper, 0, "");
    if (!lines.body.empty())
      svg.rect({x, y + 4, row.width - 16, kGraphLine * static_cast<double>(lines.body.size())},
               R"(class="body" fill="#ffffff" stroke="#8250df" stroke-dasharray="4 2")");
    write(lines.body, 8, "");
    write(lines.lower, 0, R"(font-style="italic")");
  }

  static std::string tooltipOf(const GraphNode &node) {
    std::string text = titleOf(node);
    for (const auto *part : {&node.details, &node.weights, &node.body})
      for (const std::string &line : *part) text += "\n" + line;
    if (!node.memory.empty()) text += "\n" + node.memory;
    for (const std::string &line : node.returns) text += "\n⇒ " + line;
    return text;
  }

  const Graph &graph;
  GraphLayout layout;
  Svg svg;
  std::map<std::pair<int, int>, double> lane_x; ///< value and column
};

} // namespace

const char *colourOf(GraphNode::Kind kind) {
  switch (kind) {
  case GraphNode::input:
    return "#ffffff";
  case GraphNode::state:
    return "#fff3c4";
  case GraphNode::matmul:
    return "#cfe3ff";
  case GraphNode::attention:
    return "#ffdcc2";
  case GraphNode::norm:
    return "#d3f0d8";
  case GraphNode::fused:
    return "#e8dcff";
  case GraphNode::lookup:
    return "#d0f0f0";
  case GraphNode::move:
    return "#e7e9ec";
  case GraphNode::other:
    return "#f4f4f4";
  }
  return "#f4f4f4";
}

const char *nameOf(GraphNode::Kind kind) {
  switch (kind) {
  case GraphNode::input:
    return "input";
  case GraphNode::state:
    return "state";
  case GraphNode::matmul:
    return "matmul";
  case GraphNode::attention:
    return "attention, softmax";
  case GraphNode::norm:
    return "norm, reduction";
  case GraphNode::fused:
    return "elementwise, fused";
  case GraphNode::lookup:
    return "lookup";
  case GraphNode::move:
    return "data movement";
  case GraphNode::other:
    return "other";
  }
  return "other";
}

std::string titleOf(const GraphNode &node) {
  if (node.kind == GraphNode::input) return "input " + shortened(node.name, 40);
  if (node.kind == GraphNode::state) return "state " + shortened(node.name, 40);
  std::string text = node.number < 0 ? "" : fmt::format("#{} ", node.number);
  text += node.name;
  if (!node.place.empty()) text += fmt::format(" {}", shortened(node.place, 44));
  return text;
}

std::string toSvg(const Graph &graph) { return Painter(graph).run(); }

} // namespace linnet::dump
