// Workgroups of one dispatch that bring together what they have found: each writes its part to working memory
// and counts itself, and the one that finds all others counted sees all parts. Nobody waits, so nothing is
// asked of how a device schedules workgroups.
#pragma once
#include "backends/vulkan/emitter.h"

namespace linnet::vulkan {

/// Parts and counters are operands; counters are zero between dispatches (fb::Space::counter).
class LastDone {
public:
  LastDone(Emitter &e, uint32_t parts, uint32_t counters) : e(e), counters(counters) {
    e.acrossGroups(parts), e.acrossGroups(counters);
  }

  /// A counter, what this workgroup counts for, and for how much all do.
  struct Count {
    Value counter, mine, all;
  };

  /// `body` in the last of the workgroups that get here with a counter. All its invocations get here
  /// together, having written their parts.
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
  /// The same of subgroups, for kernels without shared memory; the one of them with lane 0 writes the part.
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
  Shared others = {}; ///< how many were counted before this workgroup
};

} // namespace linnet::vulkan
