// The pieces of a Unigram vocabulary, to find all that begin at a place of a text.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet {

class PieceTrie {
public:
  /// `piece` is not empty. A later insertion of the same piece replaces its id.
  void insert(std::string_view piece, int32_t id) {
    uint32_t node = 0;
    for (char c : piece) node = childOrNew(node, static_cast<unsigned char>(c));
    ids[node] = id;
  }

  /// Calls visit(length, id) for each piece that `text` begins with, the shortest one first.
  template <class Visit> void visitPrefixes(std::string_view text, Visit visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (!node) return;
      if (ids[node] >= 0) visit(i + 1, ids[node]);
    }
  }

private:
  struct Edge {
    uint64_t key = 0; // 1 + (node << 8 | byte); 0: empty
    uint32_t node = 0;
  };
  static size_t hash(uint64_t key) { return (key * 0x9E3779B97F4A7C15u) >> 20; }

  uint32_t child(uint32_t node, unsigned char byte) const {
    uint64_t key = (uint64_t(node) << 8 | byte) + 1;
    for (size_t i = hash(key) & (edges.size() - 1);; i = (i + 1) & (edges.size() - 1)) {
      if (edges[i].key == key) return edges[i].node;
      if (!edges[i].key) return 0;
    }
  }

  uint32_t childOrNew(uint32_t node, unsigned char byte) {
    if (uint32_t known = child(node, byte)) return known;
    if (ids.size() * 2 > edges.size()) grow();
    auto added = static_cast<uint32_t>(ids.size());
    ids.push_back(-1);
    put({(uint64_t(node) << 8 | byte) + 1, added});
    return added;
  }

  void put(Edge edge) {
    size_t i = hash(edge.key) & (edges.size() - 1);
    while (edges[i].key) i = (i + 1) & (edges.size() - 1);
    edges[i] = edge;
  }

  void grow() {
    std::vector<Edge> old(edges.size() * 2);
    old.swap(edges);
    for (const Edge &edge : old)
      if (edge.key) put(edge);
  }

  std::vector<Edge> edges = std::vector<Edge>(64); // open addressing, at most half full
  std::vector<int32_t> ids = {-1};                 // by node; -1: no piece ends there
};

} // namespace linnet
