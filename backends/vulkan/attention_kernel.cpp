#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

#include <fmt/format.h>

#include <bit>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kKeys = 64; ///< of a block: one an invocation

struct Attention {
  Emitter &e;
  const AttentionSpec &spec;
  Builder &b = e.b;
  Shared query = e.shared(Builder::f32(), uint32_t(spec.head_size), "query");
  Shared weights = e.shared(Builder::f32(), kKeys, "weights");
  Shared scratch = e.shared(Builder::f32(), kKeys, "scratch");
  Value size = e.u(uint64_t(spec.head_size)), lane = b.localId(0);
  Value head_base = {}; ///< of this sequence's and head's rows in k and v

  /// Columns of the head that an invocation sums values of.
  uint32_t columnsEach() const { return uint32_t((spec.head_size + kKeys - 1) / kKeys); }

  Value integer(uint32_t operand, Value sequence) {
    return b.bitcast(e.load(operand, sequence, Type::i32), Builder::u32());
  }
  /// One past the last key that query t of `sequence` sees.
  Value end(Value sequence, Value t) {
    Value queries = e.extent(spec.queries);
    Value past = spec.past ? integer(4, sequence) : e.u(0);
    Value end = b.add(past, spec.causal ? b.add(t, e.u(1)) : queries);
    if (spec.length) end = b.min(end, b.add(past, integer(4 + spec.past, sequence)));
    return b.min(end, e.extent(spec.capacity));
  }

  Value score(Value key) {
    Variable sum = b.variable(e.f(0));
    Value row = b.mul(b.add(head_base, key), size);
    b.forRange(e.u(0), size, e.u(1), [&](Value d) {
      b.set(sum, b.fma(b.load(query, d), e.load(1, b.add(row, d), spec.cache), b.get(sum)));
    });
    return b.mul(b.get(sum), e.f(spec.scale));
  }

  void one(Value item) {
    Value queries = e.extent(spec.queries), heads = e.extent(spec.heads);
    Value t = b.mod(item, queries), h = b.mod(b.div(item, queries), heads);
    Value sequence = b.div(item, b.mul(queries, heads));
    Value row = b.add(b.mul(sequence, queries), t), last = end(sequence, t);
    head_base = b.mul(b.add(b.mul(sequence, heads), h), e.extent(spec.capacity));
    Value q = b.add(b.mul(row, e.extent(spec.q_stride)), b.mul(h, size));
    b.barrier(); // the query before is done with it
    b.forRange(lane, size, e.u(kKeys),
               [&](Value d) { b.store(query, d, e.load(0, b.add(q, d), spec.type)); });
    b.barrier();
    Variable top = b.variable(e.f(-HUGE_VAL)), total = b.variable(e.f(0));
    std::vector<Variable> sums;
    for (uint32_t i = 0; i < columnsEach(); ++i) sums.push_back(b.variable(e.f(0)));
    b.forRange(e.u(0), last, e.u(kKeys), [&](Value first) { block(first, last, top, total, sums); });
    Value out = b.mul(b.add(b.mul(row, heads), h), size);
    forColumns([&](uint32_t i, Value d) {
      Value empty = b.eq(b.get(total), e.f(0));
      e.store(3, b.add(out, d), spec.type, b.select(empty, e.f(0), b.div(b.get(sums[i]), b.get(total))));
    });
  }

  void forColumns(const std::function<void(uint32_t, Value)> &body) {
    for (uint32_t i = 0; i < columnsEach(); ++i) {
      Value d = b.add(lane, e.u(i * kKeys));
      if ((i + 1) * kKeys <= uint64_t(spec.head_size))
        body(i, d);
      else
        b.ifThen(b.lt(d, size), [&] { body(i, d); });
    }
  }

  void block(Value first, Value last, Variable top, Variable total, std::vector<Variable> &sums) {
    Value key = b.add(first, lane);
    Variable mine = b.variable(e.f(-HUGE_VAL));
    b.ifThen(b.lt(key, last), [&] { b.set(mine, score(key)); });
    Value largest = e.reduce(scratch, b.get(mine), [&](Value x, Value y) { return b.max(x, y); });
    Value before = b.get(top), now = b.max(before, largest);
    Value weight = e.exp(b.sub(b.get(mine), now));
    b.store(weights, lane, weight);
    Value sum = e.reduce(scratch, weight, [&](Value x, Value y) { return b.add(x, y); }); // has a barrier
    Value shrink = e.exp(b.sub(before, now));
    b.set(top, now);
    b.set(total, b.fma(b.get(total), shrink, sum));
    Value count = b.min(e.u(kKeys), b.sub(last, first));
    forColumns([&](uint32_t i, Value d) {
      b.set(sums[i], b.mul(b.get(sums[i]), shrink));
      Value base = b.add(b.mul(b.add(head_base, first), size), d);
      b.forRange(e.u(0), count, e.u(1), [&](Value j) {
        Value v = e.load(2, b.add(base, b.mul(j, size)), spec.cache);
        b.set(sums[i], b.fma(b.load(weights, j), v, b.get(sums[i])));
      });
    });
    b.barrier(); // weights are read
  }
};

} // namespace

Kernel attentionKernel(const AttentionSpec &spec) {
  Emitter e(fmt::format("attention_{}_cache_{}_b{}_t{}_h{}_s{}_d{}_ldq{}_scale{:x}{}{}{}", nameOf(spec.type),
                        nameOf(spec.cache), spec.batch.text(), spec.queries.text(), spec.heads.text(),
                        spec.capacity.text(), spec.head_size, spec.q_stride.text(),
                        std::bit_cast<uint32_t>(spec.scale), spec.causal ? "_causal" : "",
                        spec.past ? "_past" : "", spec.length ? "_length" : ""),
            4u + spec.past + spec.length, kKeys, spec.where);
  Attention body{e, spec};
  e.forGroups(e.extent(spec.batch * spec.heads * spec.queries), [&](Value item) { body.one(item); });
  return e.finish();
}

} // namespace linnet::vulkan
