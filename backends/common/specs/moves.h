// Kernels that move elements: lookups, positions, the cache, copies, transposition.
#pragma once
#include "backends/common/pack.h"
#include "backends/common/specs/spec.h"

#include <fmt/format.h>
#include <optional>

namespace linnet::backend {

/// out[i, :] = table[ids[i], :]. Ids are clamped to the table. Rows of an integer table are multiplied by scale (V,
/// scales). If the table is packed, scale is packed with k_block 1.
struct EmbedSpec {
  enum class Operand : uint8_t { ids, out, table, scale, count };
  Extent ids, columns;
  int64_t rows = 0;
  std::optional<PackedLayout> panel = {}; ///< if set, the table (V, C) is packed as an operand of a matmul
  Type table = Type::f32, out = Type::f32;
  bool scaled = false;
  /// group: columns that share a scale, 0 if all do; scales: scales (and minima) of a row
  int64_t group = 0, scales = 1;
  bool asymmetric = false; ///< each scale is followed by a minimum (see linnet.embed)

  bool has(Operand operand) const { return operand != Operand::scale || scaled; }
  Extent elements() const { return ids * columns; }
  std::string key(Walk walk) const;
};

/// out[b, t] = min(past[b] + t, limit - 1). Items are elements of out. If there is no past, past[b] is 0.
struct PositionsSpec {
  enum class Operand : uint8_t { out, past, count };
  Extent batch, positions;
  int64_t limit = 1;
  bool past = true;

  bool has(Operand operand) const { return operand != Operand::past || past; }
  Extent elements() const { return batch * positions; }
  std::string key(Walk walk) const;
};

/// cache[b, h, past[b] + t, :] = entries[b, t, h, :]. Entries beyond the cache's capacity are dropped. Rows (b, t) of
/// entries are `stride` elements apart.
struct CacheAppendSpec {
  enum class Operand : uint8_t { entries, past, cache, count };
  Extent batch, positions, heads, capacity, head_size, stride;
  Type type = Type::f32, cache = Type::f32;

  /// One row for each batch element, position and head.
  Extent rows() const { return batch * positions * heads; }
  Extent elements() const { return rows() * head_size; }
  std::string key(Walk walk) const;
};

/// Rotates pairs of the first 2 * angles elements of each head by the angle of the head's token (see linnet.rotary).
/// Rows (b, t) of x are `stride` elements apart. The table is (rows, 2 * angles), f32; positions are clamped to it.
struct RotarySpec {
  enum class Operand : uint8_t { x, table, positions, out, count };
  Extent tokens, heads;
  int64_t head_size = 0;
  Extent stride;
  int64_t angles = 0, rows = 0;
  Type type = Type::f32;
  bool interleaved = false, inverse = false;

  Extent headRows() const { return tokens * heads; }
  Extent elements() const { return headRows() * Extent(head_size); }
  std::string key(Walk walk) const;
};

/// out[o * out_stride + out_offset + i] = x[o * in_stride + in_offset + i] for o < outer, i < run. Item o * run + i is
/// one element.
struct CopySpec {
  enum class Operand : uint8_t { x, out, count };
  Extent outer, run, in_stride, out_stride, in_offset = 0, out_offset = 0;
  Type type = Type::f32;

  Extent elements() const { return outer * run; }
  std::string key(Walk walk) const;
};

/// Dimension i of out is dimension permutation[i] of x. shape is out's. Items are elements of out.
struct TransposeSpec {
  enum class Operand : uint8_t { x, out, count };
  Extents shape;
  std::vector<int64_t> permutation;
  Type type = Type::f32;

  Extent elements() const;
  /// The same for every Walk.
  std::string key(Walk walk = Walk::range) const;
};

inline std::string EmbedSpec::key(Walk walk) const {
  const auto &[ids, columns, rows, panel, table, out, scaled, group, scales, asymmetric] = *this;
  Key key("embed", walk);
  key.type(table).type("to", out, table);
  if (scaled) key.word(fmt::format("scaled{}of{}", group, scales)).flag("asymmetric", asymmetric);
  if (panel) {
    const auto &[k_block, n_block, interleave, transposed] = *panel;
    key.word(fmt::format("panel{}x{}x{}{}", k_block, n_block, interleave, transposed ? "t" : ""));
  }
  return key.items("i", ids).size("v", rows).size("c", columns).text;
}

inline std::string PositionsSpec::key(Walk walk) const {
  const auto &[batch, positions, limit, past] = *this;
  return Key("positions", walk)
      .items("b", batch)
      .size("t", positions)
      .size("limit", limit)
      .flag("from0", !past)
      .text;
}

inline std::string CacheAppendSpec::key(Walk walk) const {
  const auto &[batch, positions, heads, capacity, head_size, stride, type, cache] = *this;
  Key key("cache_append", walk);
  key.type(type).word(fmt::format("to_{}", nameOf(cache))).items("b", batch).size("t", positions);
  return key.size("h", heads).size("s", capacity).size("d", head_size).size("ld", stride).text;
}

inline std::string RotarySpec::key(Walk walk) const {
  const auto &[tokens, heads, head_size, stride, angles, rows, type, interleaved, inverse] = *this;
  Key key("rotary", walk);
  key.type(type).items("t", tokens).size("h", heads).size("d", head_size).size("ld", stride);
  key.size("f", angles).size("p", rows);
  return key.flag("interleaved", interleaved).flag("inverse", inverse).text;
}

inline std::string CopySpec::key(Walk walk) const {
  const auto &[outer, run, in_stride, out_stride, in_offset, out_offset, type] = *this;
  auto place = [](const char *label, const Extent &stride, const Extent &offset) {
    return fmt::format("{}{}p{}", label, stride.text(), offset.text());
  };
  Key key("copy", walk);
  key.type(type).items("o", outer).size("run", run);
  return key.word(place("from", in_stride, in_offset)).word(place("to", out_stride, out_offset)).text;
}

inline Extent TransposeSpec::elements() const {
  Extent all = 1;
  for (const Extent &size : shape) all = all * size;
  return all;
}

inline std::string TransposeSpec::key(Walk) const {
  const auto &[shape, permutation, type] = *this;
  std::string order;
  for (int64_t dim : permutation) order += "_" + std::to_string(dim);
  Key key("transpose" + order);
  key.type(type);
  for (const Extent &size : shape) key.size("", size);
  return key.text;
}

} // namespace linnet::backend
