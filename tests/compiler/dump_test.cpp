// The parts of a dump that need no compilation: layouts of drawn graphs, text that is safe in XML, assembly
// cut into functions.
#include "compiler/dump/assembly.h"
#include "compiler/dump/graph_layout.h"
#include "compiler/dump/svg.h"
#include "tests/catch.h"

#include <map>
#include <random>

using namespace linnet::dump;

namespace {

/// Ops that read some of the values before them, in layers of a few ops.
Graph drawGraph(std::mt19937 &random, int nodes) {
  auto below = [&](int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random); };
  Graph graph;
  int layer = 0;
  for (int i = 0; i < nodes; ++i) {
    GraphNode node;
    node.number = i;
    node.name = "op";
    if (below(6) == 0) layer += below(2) + 1;
    if (layer % 3) node.layer = "h." + std::to_string(layer);
    node.place = node.layer + std::string(static_cast<size_t>(below(30)), 'x');
    for (int line = below(4); line > 0; --line)
      node.weights.emplace_back(static_cast<size_t>(below(90)), 'w');
    std::map<int, bool> used;
    for (int uses = below(4); uses > 0 && !graph.values.empty(); --uses) {
      int value =
          below(2) ? static_cast<int>(graph.values.size()) - 1 : below(static_cast<int>(graph.values.size()));
      if (!used[value]) node.uses.push_back({value, below(2) ? "role" : ""});
      used[value] = true;
    }
    for (int results = 1 + below(2); results > 0; --results) {
      node.results.push_back(static_cast<int>(graph.values.size()));
      graph.values.push_back({i, "4×8 f32", "4×8 f32 · 128 B", 128});
    }
    graph.nodes.push_back(std::move(node));
  }
  return graph;
}

bool overlap(const GraphRow &a, const GraphRow &b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

int countOf(const GraphLayout &layout, int value, double left, double right, bool out) {
  int count = 0;
  for (const GraphRow &row : layout.rows)
    for (const GraphPort &port : row.ports)
      count += row.x >= left && row.x < right && port.value == value && port.out == out;
  return count;
}

} // namespace

TEST_CASE("in any graph no rows overlap, no lanes do, and each use has an arrow or a lane that reaches it") {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    Graph graph = drawGraph(random, 1 + round * 3);
    GraphLayout layout = layoutOf(graph);
    size_t drawn = 0, arrows = 0, ports = 0, uses = 0;
    for (size_t i = 0; i < layout.rows.size(); ++i) {
      const GraphRow &row = layout.rows[i];
      drawn += row.node >= 0;
      arrows += row.direct >= 0;
      for (size_t j = 0; j < i; ++j) REQUIRE_FALSE(overlap(row, layout.rows[j]));
      for (const GraphPort &port : row.ports) {
        ports += !port.out;
        CHECK((port.y > row.y && port.y < row.y + row.height));
        if (!port.out) CHECK(countOf(layout, port.value, row.x, row.x + row.width, true) == 1);
      }
      CHECK((row.x >= 0 && row.y >= 0 && row.x + row.width <= layout.width &&
             row.y + row.height <= layout.height));
      // An arrow comes from the row right above: the op that makes the value, or where the column takes it
      // up.
      if (row.direct >= 0) {
        REQUIRE(i > 0);
        const GraphRow &above = layout.rows[i - 1];
        CHECK(above.x == row.x);
        CHECK((above.from_value == row.direct ||
               above.node == graph.values[static_cast<size_t>(row.direct)].node));
      }
    }
    for (const GraphNode &node : graph.nodes) uses += node.uses.size();
    CHECK(drawn == graph.nodes.size());
    CHECK(arrows + ports == uses);
    for (size_t i = 0; i < layout.lanes.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        const GraphLane &a = layout.lanes[i], &b = layout.lanes[j];
        CHECK((a.x != b.x || a.to < b.from || b.to < a.from));
      }
  }
}

TEST_CASE("a graph without ops is a picture too") {
  CHECK(toSvg(Graph()).find("</svg>") != std::string::npos);
  CHECK(toDot(Graph()).find("digraph") == 0);
}

TEST_CASE("text is escaped, and what XML cannot hold is replaced") {
  CHECK(escaped("a<b> & \"c\"") == "a&lt;b&gt; &amp; &quot;c&quot;");
  CHECK(escaped("batch×seq ⇒ 日") == "batch×seq ⇒ 日");
  CHECK(escaped(std::string("\x01\x7f\t\0z", 5)) == "????z");
  CHECK(escaped("\xff \xc3 \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xef\xbf\xbf") == "? ? ?? ??? ???? ???");
}

TEST_CASE("text is measured and cut by columns") {
  CHECK(columns("×⇒a") == 3);
  CHECK(columns("日") == 2);
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdefg", 6) == "abcde…");
  CHECK(columns(shortened("日本語日本語", 6)) <= 6);
  CHECK(textWidth("abcd", 10) > 24);
}

TEST_CASE("file names hold nothing that leads elsewhere") {
  CHECK(fileName("linnet-alias") == "linnet-alias");
  CHECK(fileName("../a b/c") == "_.._a_b_c");
  CHECK(fileName("") == "_");
  CHECK(fileName("-x") == "_-x");
  CHECK(fileName(std::string(500, 'x')).size() <= 121);
}

TEST_CASE("bytes are said in the unit that fits") {
  CHECK(bytesText(0) == "0 B");
  CHECK(bytesText(1023) == "1023 B");
  CHECK(bytesText(36864) == "36.0 KiB");
  CHECK(bytesText(int64_t(3) << 30) == "3.0 GiB");
  CHECK(bytesText(-1) == "unknown size");
}

TEST_CASE("assembly is cut into functions, constants with the one they stand before") {
  auto parts = splitAssembly("\t.text\n\t.globl\tf # -- Begin function f\nf:\n\tret\n # -- End function\n"
                             "\t.section .rodata\n\t.p2align 2 # -- Begin function g\n.LC:\n\t.globl "
                             "g\ng:\n\tret\n # -- End function\n"
                             "\t.section \".note.GNU-stack\"\n");
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].first == "f");
  CHECK(parts[0].second == "\t.text\n\t.globl\tf # -- Begin function f\nf:\n\tret\n # -- End function\n");
  CHECK(parts[1].first == "g");
  CHECK(parts[1].second.find("\t.section .rodata\n") == 0);
  CHECK(parts[1].second.find("GNU-stack") == std::string::npos);
  CHECK(splitAssembly("f: ret") == std::vector<std::pair<std::string, std::string>>{{"kernels", "f: ret"}});
  CHECK(splitAssembly("").size() == 1);
}
