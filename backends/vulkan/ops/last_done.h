// Workgroups of one dispatch combine their results without waiting. Each writes its part to working memory and counts
// itself. The workgroup that finds all others counted sees all parts. No workgroup waits, so this needs no guarantee
// about scheduling.
#pragma once
#include "backends/vulkan/emitter.h"

namespace linnet::vulkan {

/// Parts and counters are operands. Counters are zero between dispatches (fb::Space::counter).
class LastDone {
public:
  LastDone(Emitter &e, uint32_t parts, uint32_t counters) : e(e), counters(counters) {
    e.acrossGroups(parts), e.acrossGroups(counters);
  }

  /// The index of a counter, the amount that this workgroup adds, and the final amount.
  struct Count {
    Value counter, mine, all;
  };

  /// Calls `body` in the last workgroup that reaches this point with the counter. All its invocations must call this
  /// together, after they have written their parts.
  void ofGroups(Value me, const Count &count, const std::function<void()> &body) {
    Builder &b = e.b;
    if (!others.id) others = e.shared(Builder::u32(), 1, "others");
    b.memoryBarrier();
    b.barrier();
    b.ifThen(b.eq(me, e.u(0)),
             [&] { b.store(others, e.u(0), e.atomicAdd(counters, count.counter, count.mine)); });
    b.barrier();
    end(me, count, b.load(others, e.u(0)), body);
  }
  /// The same for subgroups, for kernels without shared memory. Only lane 0 of a subgroup has written its part.
  void ofSubgroups(Value lane, const Count &count, const std::function<void()> &body) {
    Builder &b = e.b;
    Variable before = b.variable(e.u(0));
    b.memoryBarrier();
    b.ifThen(b.eq(lane, e.u(0)), [&] { b.set(before, e.atomicAdd(counters, count.counter, count.mine)); });
    end(lane, count, b.subgroupReduce(spirv::SubgroupOp::max, b.get(before)), body);
  }

private:
  void end(Value me, const Count &count, Value before, const std::function<void()> &body) {
    Builder &b = e.b;
    b.ifThen(b.eq(b.add(before, count.mine), count.all), [&] {
      b.memoryBarrier();
      b.ifThen(b.eq(me, e.u(0)),
               [&] { e.store(counters, count.counter, Type::i32, b.constant(int32_t(0))); });
      body();
    });
  }

  Emitter &e;
  uint32_t counters;
  Shared others = {}; ///< the count before this workgroup added its amount
};

} // namespace linnet::vulkan
