// Names of kernels from their specifications.
#include "backends/common/specs/attention.h"
#include "backends/common/specs/elementwise.h"
#include "backends/common/specs/matmul.h"
#include "backends/common/specs/moves.h"
#include "backends/common/specs/rows.h"
#include "backends/common/specs/training.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace linnet::backend {

Key &Key::word(const std::string &word) {
  text += "_" + word;
  return *this;
}
Key &Key::items(const char *label, const Extent &count) {
  return walk == Walk::all ? size(label, count) : *this;
}
Key &Key::size(const char *label, const Extent &size) { return word(label + size.text()); }
Key &Key::type(const char *label, Type type, Type usual) {
  return type == usual ? *this : word(fmt::format("{}_{}", label, nameOf(type)));
}
Key &Key::bits(const char *label, float x) {
  return word(fmt::format("{}{:x}", label, std::bit_cast<uint32_t>(x)));
}

std::string RowSpec::key(const char *family, Walk walk) const {
  const auto &[rows, columns, type] = *this;
  return Key(family, walk).type(type).items("r", rows).size("c", columns).text;
}

std::string NormSpec::key(Walk walk) const {
  const auto &[x, gain, epsilon, rms] = *this;
  return Key(x.key(rms ? "rms_norm" : "layer_norm", walk))
      .bits("eps", epsilon)
      .type("gain", gain, x.type)
      .text;
}

std::string ReduceSpec::key(Walk walk) const {
  const auto &[kind, outer, size, inner, type] = *this;
  return Key("reduce", walk)
      .word(nameOf(kind))
      .type(type)
      .items("o", outer)
      .size("r", size)
      .size("i", inner)
      .text;
}

std::string PoolSpec::key(Walk walk) const {
  const auto &[mode, batch, positions, columns, type] = *this;
  return Key("pool", walk)
      .word(nameOf(mode))
      .type(type)
      .items("b", batch)
      .size("t", positions)
      .size("c", columns)
      .text;
}

std::string EmbedSpec::key(Walk walk) const {
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

std::string PositionsSpec::key(Walk walk) const {
  const auto &[batch, positions, limit, past] = *this;
  return Key("positions", walk)
      .items("b", batch)
      .size("t", positions)
      .size("limit", limit)
      .flag("from0", !past)
      .text;
}

std::string CacheAppendSpec::key(Walk walk) const {
  const auto &[batch, positions, heads, capacity, head_size, stride, type, cache] = *this;
  Key key("cache_append", walk);
  key.type(type).word(fmt::format("to_{}", nameOf(cache))).items("b", batch).size("t", positions);
  return key.size("h", heads).size("s", capacity).size("d", head_size).size("ld", stride).text;
}

std::string RotarySpec::key(Walk walk) const {
  const auto &[tokens, heads, head_size, stride, angles, rows, type, interleaved, inverse] = *this;
  Key key("rotary", walk);
  key.type(type).items("t", tokens).size("h", heads).size("d", head_size).size("ld", stride);
  key.size("f", angles).size("p", rows);
  return key.flag("interleaved", interleaved).flag("inverse", inverse).text;
}

std::string CopySpec::key(Walk walk) const {
  const auto &[outer, run, in_stride, out_stride, in_offset, out_offset, type] = *this;
  auto place = [](const char *label, const Extent &stride, const Extent &offset) {
    return fmt::format("{}{}p{}", label, stride.text(), offset.text());
  };
  Key key("copy", walk);
  key.type(type).items("o", outer).size("run", run);
  return key.word(place("from", in_stride, in_offset)).word(place("to", out_stride, out_offset)).text;
}

Extent TransposeSpec::elements() const {
  Extent all = 1;
  for (const Extent &size : shape) all = all * size;
  return all;
}

std::string TransposeSpec::key() const {
  const auto &[shape, permutation, type] = *this;
  std::string order;
  for (int64_t dim : permutation) order += "_" + std::to_string(dim);
  Key key("transpose" + order);
  key.type(type);
  for (const Extent &size : shape) key.size("", size);
  return key.text;
}

namespace {

/// Adds options that few models use. An option with its default is left out.
Key &withVariants(Key &key, int64_t key_group, int64_t window, float cap) {
  if (key_group != 1) key.size("group", key_group);
  if (window) key.size("window", window);
  return cap != 0 ? key.bits("cap", cap) : key;
}

} // namespace

std::string AttentionSpec::key(Walk walk) const {
  const auto &[batch, queries, heads, capacity, head_size, q_stride, type, cache, scale, causal, past, length,
               bf16_rows, key_group, window, cap] = *this;
  Key key("attention", walk);
  key.type(type).word(fmt::format("cache_{}", nameOf(cache))).items("b", batch).size("t", queries);
  key.size("h", heads).size("s", capacity).size("d", head_size).size("ldq", q_stride).bits("scale", scale);
  key.flag("causal", causal).flag("past", past).flag("length", length);
  if (bf16_rows) key.size("bf16_from", bf16_rows);
  return withVariants(key, key_group, window, cap).text;
}

std::string MaskSpec::key(Walk walk) const {
  const auto &[batch, queries, heads, capacity, type, causal, past, length, window] = *this;
  Key key("mask", walk);
  key.type(type).items("b", batch).size("t", queries).size("h", heads).size("s", capacity);
  key.flag("causal", causal).flag("past", past).flag("length", length);
  return withVariants(key, 1, window, 0).text;
}

std::string AttentionGradSpec::key(const char *family, Walk walk) const {
  const auto &[batch, queries, heads, capacity, head_size, scale, causal, length, key_group, window, cap] =
      *this;
  Key key(family, walk);
  key.items("b", batch).size("t", queries).size("h", heads).size("s", capacity).size("d", head_size);
  key.bits("scale", scale).flag("causal", causal).flag("length", length);
  return withVariants(key, key_group, window, cap).text;
}

std::string MatmulSpec::key(bool any_size) const {
  const auto &[groups, m, k, n, transpose_a, transpose_w, shared_w, bias, residual, type, a, w, activation,
               scaled, group, scale_rows, asymmetric] =
      *this; // The key leaves out `groups`: it only counts items, or each call passes it.
  Key key("matmul");
  key.type(type).word(fmt::format("{}{}", transpose_a ? "t" : "n", transpose_w ? "t" : "n"));
  key.word(shared_w ? "shared" : "grouped").flag("bias", bias);
  key.text += suffixOf(activation);
  key.flag("residual", residual);
  if (!any_size) key.size("m", m).size("k", k).size("n", n);
  key.type("a", a, type).type("w", w, type);
  if (scaled) key.word(fmt::format("scaled{}of{}", group, scale_rows)).flag("asymmetric", asymmetric);
  return key.text;
}

bool ElementwiseSpec::isPlain() const {
  return shape.size() == 1 && !reduce && std::ranges::all_of(broadcast, [](uint32_t dims) { return !dims; });
}

std::string ElementwiseSpec::key(bool any_size) const {
  const auto &[name, shape, in, out, broadcast, reduce] = *this;
  Key key(name);
  for (size_t i = 0; i < in.size(); ++i) {
    key.type(in[i]);
    if (broadcast[i]) key.text += fmt::format("b{:x}", broadcast[i]);
  }
  if (reduce) key.word(nameOf(*reduce));
  key.word("to");
  for (Type type : out) key.type(type);
  if (any_size && isPlain()) return key.text;
  for (const Extent &extent : shape) key.size("", extent);
  return key.text;
}

std::string LayerNormGradSpec::key(Walk walk) const {
  const auto &[x, epsilon] = *this;
  return Key(x.key("layer_norm_grad", walk)).bits("eps", epsilon).text;
}

std::string AdamWSpec::key() const {
  // The key leaves out `elements`: each call passes the number of elements.
  const auto &[beta1, beta2, epsilon, decay, lr_scale, pull, elements] = *this;
  Key key("adamw");
  for (float number : {beta1, beta2, epsilon, decay, lr_scale, pull}) key.bits("", number);
  return key.text;
}

std::string DropoutSpec::key() const {
  // the key leaves out `elements`: each call passes the number of elements
  const auto &[rate, stream, elements] = *this;
  return Key("dropout").bits("", rate).size("", int64_t(stream)).text;
}

std::string SumRowsSpec::key() const {
  const auto &[rows, columns] = *this;
  return Key("sum_rows").size("r", rows).size("c", columns).text;
}

std::string ScatterAddSpec::key() const {
  const auto &[table_rows, count, columns] = *this;
  return Key("scatter_add").size("v", table_rows).size("n", count).size("c", columns).text;
}

} // namespace linnet::backend
