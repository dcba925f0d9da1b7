#include "compiler/dump/graph.h"
#include "compiler/dump/svg.h"

#include <fmt/format.h>

namespace linnet::dump {
namespace {

std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char letter : escaped(text)) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + '"';
}

/// A node's label as a table: title, attributes, and a box for a fused region.
std::string labelOf(const GraphNode &node) {
  constexpr const char *kLeft = R"(<BR ALIGN="LEFT"/>)";
  auto row = [&](const std::vector<std::string> &lines, const char *attributes) {
    if (lines.empty()) return std::string();
    std::string text = fmt::format("<TR><TD ALIGN=\"LEFT\" BALIGN=\"LEFT\"{}>", attributes);
    for (const std::string &line : lines) text += escaped(line) + kLeft;
    return text + "</TD></TR>";
  };
  std::vector<std::string> upper = node.details, lower;
  upper.insert(upper.end(), node.weights.begin(), node.weights.end());
  if (!node.memory.empty()) lower.push_back(node.memory);
  for (const std::string &line : node.returns) lower.push_back("⇒ " + line);
  return "<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"1\"><TR><TD ALIGN=\"LEFT\"><B>" +
         escaped(titleOf(node)) + "</B></TD></TR>" + row(upper, "") +
         row(node.body, R"( BORDER="1" BGCOLOR="white")") + row(lower, "") + "</TABLE>>";
}

std::string nodeText(const Graph &graph, size_t i) {
  const GraphNode &node = graph.nodes[i];
  bool port = node.kind == GraphNode::input || node.kind == GraphNode::state;
  return fmt::format("n{} [label={}, fillcolor=\"{}\", color=\"{}\", style=\"filled{}{}\"];\n", i,
                     labelOf(node), colourOf(node.kind), node.in_place ? "#cf222e" : "#57606a",
                     port ? ",rounded" : "", node.view ? ",dashed" : "");
}

} // namespace

std::string toDot(const Graph &graph) {
  std::string out = "digraph " + quoted(graph.entry) + " {\n";
  out += fmt::format("  label={};\n  labelloc=t;\n",
                     quoted(graph.title + (graph.subtitle.empty() ? "" : "; " + graph.subtitle)));
  out += "  node [shape=box, fontname=\"monospace\", fontsize=10];\n  edge [fontname=\"monospace\", "
         "fontsize=9];\n";
  int cluster = 0;
  for (size_t i = 0; i < graph.nodes.size();) {
    const std::string &layer = graph.nodes[i].layer;
    if (layer.empty()) {
      out += "  " + nodeText(graph, i++);
      continue;
    }
    out += fmt::format(
        "  subgraph cluster_{} {{\n    label={}; style=\"rounded,filled\"; fillcolor=\"#f6f8fa\";\n",
        cluster++, quoted(layer));
    for (; i < graph.nodes.size() && graph.nodes[i].layer == layer; ++i) out += "    " + nodeText(graph, i);
    out += "  }\n";
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const GraphUse &use : graph.nodes[i].uses) {
      const GraphValue &value = graph.values[use.value];
      out += fmt::format("  n{} -> n{} [label={}];\n", value.node, i,
                         quoted((use.role.empty() ? "" : use.role + ": ") + value.short_type));
    }
  return out + "}\n";
}

} // namespace linnet::dump
