// Distributes the keys of one query over several workgroups. With few heads, a GPU is otherwise idle while it decodes a
// token or a few tokens after a long past. Each workgroup stores its maximum, its total and its sums. The workgroup
// that finishes last combines them and continues. The number of workgroups with keys depends on the sequence's past,
// which only the device knows. All others end at once.
#pragma once
#include "backends/vulkan/ops/attention.h"
#include "backends/vulkan/ops/last_done.h"

namespace linnet::vulkan {

/// Workgroups: x counts queries of all heads and sequences, y counts parts.
class AttentionParts {
public:
  /// `block` is the number of keys in one step of a workgroup. The operands {parts, counters} begin at `first_operand`.
  AttentionParts(Emitter &e, const VulkanAttentionSpec &spec, uint32_t block, uint32_t first_operand)
      : e(e), spec(spec), block(block), parts(first_operand), last_done(e, parts, parts + 1) {}

  /// Calls `body` for this workgroup's share of the keys [begin, end). The first workgroup calls it for an empty range,
  /// too. begin is null without a window.
  void ifNeeded(Value begin, Value end, const std::function<void(Value first, Value end)> &body) {
    Builder &b = e.b;
    Value last = spec.window ? b.sub(end, begin) : end; // the number of keys
    // Uses at most as many workgroups as fill the device, and at least kLeastKeysOfPart keys for each.
    Value room = b.div(e.u(kFillingGroups), e.extent(spec.rows()));
    Value most = b.max(b.min(b.groupCount(1), room), e.u(1));
    Value blocks = b.div(b.add(last, e.u(block - 1)), e.u(block));
    Value each = b.div(b.add(blocks, b.sub(most, e.u(1))), most);
    Value keys = b.mul(b.max(each, e.u(kLeastKeysOfPart / block)), e.u(block));
    used = b.max(b.div(b.add(last, b.sub(keys, e.u(1))), keys), e.u(1));
    Value part = b.groupId(1), first = b.mul(part, keys);
    b.ifThen(b.lt(part, used), [&] {
      Value past_last = b.min(b.add(first, keys), last);
      spec.window ? body(b.add(begin, first), b.add(begin, past_last)) : body(first, past_last);
    });
  }

  /// The state of an invocation. All invocations have the same top and total; each has the sums of its own columns.
  struct Share {
    Variable top, total;
    std::vector<Variable> &sums;
    std::function<void(const std::function<void(uint32_t i, Value column)> &)> for_columns;
  };
  /// Calls `body` in one workgroup of the query `item`, after `share` has received the state of all parts.
  void meet(Value lane, Value item, const Share &share, const std::function<void()> &body) {
    Builder &b = e.b;
    Variable goes_on = b.variable(b.eq(used, e.u(1)));
    b.ifThen(b.lt(e.u(1), used), [&] {
      store(lane, baseOf(item, b.groupId(1)), share);
      last_done.ofGroups(lane, {item, e.u(1), used}, [&] {
        gather(item, share);
        b.set(goes_on, b.constant(true));
      });
    });
    b.ifThen(b.get(goes_on), body);
  }

private:
  Value baseOf(Value item, Value part) {
    Builder &b = e.b;
    return b.mul(b.add(b.mul(item, e.u(spec.parts)), part), e.u(uint64_t(spec.wordsOfPart())));
  }
  Value topAt(Value base) { return e.b.add(base, e.u(uint64_t(spec.head_size))); }
  Value totalAt(Value base) { return e.b.add(base, e.u(uint64_t(spec.head_size) + 1)); }

  void store(Value lane, Value base, const Share &share) {
    Builder &b = e.b;
    share.for_columns([&](uint32_t i, Value column) {
      e.store(parts, b.add(base, column), Type::f32, b.get(share.sums[i]));
    });
    b.ifThen(b.eq(lane, e.u(0)), [&] {
      e.store(parts, topAt(base), Type::f32, b.get(share.top));
      e.store(parts, totalAt(base), Type::f32, b.get(share.total));
    });
  }

  void gather(Value item, const Share &share) {
    Builder &b = e.b;
    b.set(share.top, e.f(-HUGE_VAL)), b.set(share.total, e.f(0));
    for (Variable sum : share.sums) b.set(sum, e.f(0));
    auto add = [&](Value part) {
      Value base = baseOf(item, part), before = b.get(share.top), top = e.load(parts, topAt(base), Type::f32);
      Value now = b.max(before, top), shrink = e.exp(b.sub(before, now)), weight = e.exp(b.sub(top, now));
      b.set(share.top, now);
      b.set(share.total,
            b.fma(b.get(share.total), shrink, b.mul(e.load(parts, totalAt(base), Type::f32), weight)));
      share.for_columns([&](uint32_t i, Value column) {
        Value sum = e.load(parts, b.add(base, column), Type::f32);
        b.set(share.sums[i], b.fma(b.get(share.sums[i]), shrink, b.mul(sum, weight)));
      });
    };
    b.forRange(e.u(0), used, e.u(1), add, e.atMost(spec.parts));
  }

  Emitter &e;
  const VulkanAttentionSpec &spec;
  const uint32_t block, parts;
  LastDone last_done;
  Value used; ///< number of workgroups that have keys
};

} // namespace linnet::vulkan
