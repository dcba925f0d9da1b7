// Kernels of attention: over a cache, masked scores, gradients.
#pragma once
#include "backends/common/specs/spec.h"

#include <fmt/format.h>

namespace linnet::backend {

/// softmax(scale q k^T) v for queries (B, T, H, D) over a cache (B, H / key_group, S, D). If causal, a query sees keys
/// up to its own position past[b] + t, else up to past[b] + T. It never sees keys from past[b] + length[b] on. If
/// window is not 0, it sees only the last `window` keys up to its position. If cap is not 0, softmax reads cap tanh(s /
/// cap) of each score s. Rows (b, t) of q are q_stride elements apart. If bf16_rows is not 0, calls with at least that
/// many queries round the factors of both products to bf16.
/// Flash attention: keys in blocks, one running maximum and sum for each query, no T x S matrix. Source: Dao et al.,
/// 2022, arXiv:2205.14135.
struct AttentionSpec {
  enum class Operand : uint8_t { q, k, v, out, past, length, count };
  Extent batch, queries, heads, capacity;
  int64_t head_size = 0;
  Extent q_stride;
  Type type = Type::f32, cache = Type::f32;
  float scale = 1;
  bool causal = true, past = true, length = false;
  int64_t bf16_rows = 0;
  int64_t key_group = 1; ///< number of query heads that read the same key head; above 1, heads is static
  int64_t window = 0;
  float cap = 0;

  bool has(Operand operand) const {
    return operand == Operand::past ? past : operand == Operand::length ? length : true;
  }
  /// row ((b * H) + h) * T + t is query t of head h of sequence b
  Extent rows() const { return batch * heads * queries; }
  std::string key(Walk walk) const;
};

/// Scores (B, H, T, S), -infinity for the keys that AttentionSpec says a query does not see.
struct MaskSpec {
  enum class Operand : uint8_t { x, out, past, length, count };
  Extent batch, queries, heads, capacity;
  Type type = Type::f32;
  bool causal = true, past = true, length = false;
  int64_t window = 0;

  bool has(Operand operand) const {
    return operand == Operand::past ? past : operand == Operand::length ? length : true;
  }
  Extent rows() const { return batch * heads * queries; }
  Extent elements() const { return rows() * capacity; }
  std::string key(Walk walk) const;
};

/// Gradients of attention without past. All operands are dense and f32. key_group, window and cap are as in
/// AttentionSpec.
struct AttentionGradSpec {
  enum class Operand : uint8_t { q, k, v, gradient, dq, dk, dv, length, count };
  Extent batch, queries, heads, capacity;
  int64_t head_size = 0;
  float scale = 1;
  bool causal = true, length = false;
  int64_t key_group = 1, window = 0;
  float cap = 0;

  bool has(Operand operand) const { return operand != Operand::length || length; }
  Extent keyHeads() const { return Extent(heads.factor / key_group, heads.symbols); }
  std::string key(const char *family, Walk walk) const;
};

/// Adds options that few models use. An option with its default is left out.
inline Key &withVariants(Key &key, int64_t key_group, int64_t window, float cap) {
  if (key_group != 1) key.size("group", key_group);
  if (window) key.size("window", window);
  return cap != 0 ? key.bits("cap", cap) : key;
}

inline std::string AttentionSpec::key(Walk walk) const {
  const auto &[batch, queries, heads, capacity, head_size, q_stride, type, cache, scale, causal, past, length,
               bf16_rows, key_group, window, cap] = *this;
  Key key("attention", walk);
  key.type(type).word(fmt::format("cache_{}", nameOf(cache))).items("b", batch).size("t", queries);
  key.size("h", heads).size("s", capacity).size("d", head_size).size("ldq", q_stride).bits("scale", scale);
  key.flag("causal", causal).flag("past", past).flag("length", length);
  if (bf16_rows) key.size("bf16_from", bf16_rows);
  return withVariants(key, key_group, window, cap).text;
}

inline std::string MaskSpec::key(Walk walk) const {
  const auto &[batch, queries, heads, capacity, type, causal, past, length, window] = *this;
  Key key("mask", walk);
  key.type(type).items("b", batch).size("t", queries).size("h", heads).size("s", capacity);
  key.flag("causal", causal).flag("past", past).flag("length", length);
  return withVariants(key, 1, window, 0).text;
}

inline std::string AttentionGradSpec::key(const char *family, Walk walk) const {
  const auto &[batch, queries, heads, capacity, head_size, scale, causal, length, key_group, window, cap] =
      *this;
  Key key(family, walk);
  key.items("b", batch).size("t", queries).size("h", heads).size("s", capacity).size("d", head_size);
  key.bits("scale", scale).flag("causal", causal).flag("length", length);
  return withVariants(key, key_group, window, cap).text;
}

} // namespace linnet::backend
