// linnet.argmax of the rows that a packed matmul computes. Each workgroup finds the best of its own columns. The last
// one to finish finds the best of all. On drivers that run on a CPU, subgroups do this instead of workgroups.
#pragma once
#include "backends/vulkan/ops/best.h"
#include "backends/vulkan/ops/last_done.h"

namespace linnet::vulkan {

class MatmulArgmax {
public:
  /// `quads` is the number of invocations in x. The operands {token, parts, counters} begin at `token`.
  MatmulArgmax(Emitter &e, const PackedMatmulSpec &spec, const MatmulVariant &variant, uint32_t quads,
               uint32_t token)
      : e(e), spec(spec), variant(variant), quads(quads), token(token), last(e, token + 1, token + 2) {
    own_tops = e.b.privateArray(Builder::f32(), variant.rows, "own_tops");
    own_places = e.b.privateArray(Builder::u32(), variant.rows, "own_places");
    if (variant.subgroup) return;
    tops = e.shared(Builder::f32(), e.invocations(), "tops");
    places = e.shared(Builder::u32(), e.invocations(), "places");
  }

  /// Begins a tile whose first row is `row`.
  void begin(Value row) {
    first = row;
    forRows([&](Value r) { keep(r, Best{e}); });
  }
  /// Adds an element that this invocation stores.
  void take(Value row, Value x, Value column) {
    Value r = variant.rows > 1 ? e.b.sub(row, first) : e.u(0);
    Best best = kept(r);
    best.take(x, column);
    keep(r, best);
  }
  /// Stores an empty candidate for `panel`. The candidate of a workgroup's panels is stored with its first panel.
  void clear(Value panel) {
    e.b.ifThen(e.b.ne(panel, firstPanel()), [&] {
      forRows([&](Value r) { ifMine(r, [&](Value row) { Best{e}.store(token + 1, partOf(row, panel)); }); });
    });
  }
  /// Call this after this workgroup has computed its panels, or its slices of them.
  void end() {
    Builder &b = e.b;
    forRows([&](Value r) {
      Best best = kept(r);
      meet(best);
      ifMine(r, [&](Value row) { best.store(token + 1, partOf(row, firstPanel())); });
    });
    Value step = b.groupCount(0), left = b.sub(e.unitCount(), b.groupId(0));
    Value panels = b.div(b.add(left, b.sub(step, e.u(1))), step);
    const LastDone::Count count{b.div(first, e.u(variant.rows)), panels, all()};
    auto choose = [&] { forRows([&](Value r) { ifInside(r, [&](Value row) { chooseOf(row); }); }); };
    variant.subgroup ? last.ofSubgroups(me(), count, choose) : last.ofGroups(me(), count, choose);
  }

private:
  uint32_t partsOfPanel() const { return variant.subgroup ? quads / variant.subgroup : variant.slices; }
  uint32_t lanes() const { return variant.subgroup ? variant.subgroup : e.invocations(); }
  Value me() {
    return variant.subgroup ? e.b.subgroupLane()
                            : e.b.add(e.b.mul(e.b.localId(1), e.u(quads)), e.b.localId(0));
  }
  Value all() { return e.u(uint64_t(spec.w.count()) * partsOfPanel()); }
  Value firstPanel() { return e.b.add(e.firstUnit(), e.b.groupId(0)); }
  Value partOf(Value row, Value panel) {
    Builder &b = e.b;
    Value part = variant.subgroup ? b.subgroupId() : b.groupId(2);
    return b.add(b.mul(row, all()), b.add(b.mul(panel, e.u(partsOfPanel())), part));
  }

  void forRows(const std::function<void(Value r)> &body) {
    variant.rows > 1 ? e.b.forRange(e.u(0), e.u(variant.rows), e.u(1), body) : body(e.u(0));
  }
  void ifInside(Value r, const std::function<void(Value row)> &body) {
    Value row = e.b.add(first, r);
    variant.rows > 1 ? e.b.ifThen(e.b.lt(row, e.extent(spec.m)), [&] { body(row); }) : body(row);
  }
  void ifMine(Value r, const std::function<void(Value row)> &body) {
    ifInside(r, [&](Value row) { e.b.ifThen(e.b.eq(me(), e.u(0)), [&] { body(row); }); });
  }

  Best kept(Value r) {
    return {e, e.b.variable(e.b.load(own_tops, r)), e.b.variable(e.b.load(own_places, r))};
  }
  void keep(Value r, const Best &best) {
    e.b.store(own_tops, r, e.b.get(best.top));
    e.b.store(own_places, r, e.b.get(best.place));
  }
  void meet(Best &best) { variant.subgroup ? best.meetSubgroup() : best.meetGroup(tops, places); }

  /// Computes the token of a row from all parts.
  void chooseOf(Value row) {
    Builder &b = e.b;
    Best best{e};
    b.forRange(me(), all(), e.u(lanes()),
               [&](Value part) { best.takeFrom(token + 1, b.add(b.mul(row, all()), part)); });
    meet(best);
    b.ifThen(b.eq(me(), e.u(0)),
             [&] { e.store(token, row, Type::i32, b.bitcast(b.get(best.place), Builder::i32())); });
  }

  Emitter &e;
  const PackedMatmulSpec &spec;
  const MatmulVariant &variant;
  const uint32_t quads, token;
  LastDone last;
  Private own_tops = {}, own_places = {}; ///< the best of each row of the tile
  Shared tops = {}, places = {};
  Value first;
};

} // namespace linnet::vulkan
