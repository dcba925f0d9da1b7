// The operands and the visible keys of both attention kernels. One query over a long cache is memory-bound
// (attention.cpp); blocks of queries are compute-bound (attention_blocks.cpp).
#pragma once
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

struct AttentionOperands {
  using Operand = AttentionSpec::Operand;
  AttentionOperands(Emitter &e, const AttentionSpec &spec)
      : e(e), spec(spec), q(e.arg(spec, Operand::q)), k(e.arg(spec, Operand::k)), v(e.arg(spec, Operand::v)),
        past(e.arg(spec, Operand::past)), out(e.arg(spec, Operand::out)),
        length(e.arg(spec, Operand::length)), queries(e.extent(spec.queries)), heads(e.extent(spec.heads)),
        capacity(e.extent(spec.capacity)), q_stride(e.extent(spec.q_stride)) {}

  Emitter &e;
  const AttentionSpec &spec;
  Value *q, *k, *v, *past, *out, *length; ///< null if the call does not have the operand
  Value *queries, *heads, *capacity, *q_stride;

  /// Elements from a query's result to the result of the same head's next query.
  Value *outStride() const { return e.b.CreateMul(heads, e.i64(spec.head_size)); }
  /// First element of query t of `group` = b * H + h, and of its result.
  Value *queryAt(Value *group, Value *t) const { return rowAt(group, t, q_stride); }
  Value *resultAt(Value *group, Value *t) const { return rowAt(group, t, outStride()); }
  /// First element of the group's keys and of its values.
  Value *keysAt(Value *group) const {
    // key_group = G divides the number of heads: (b H + h) / G = b (H / G) + h / G.
    Value *key_head = spec.key_group == 1 ? group : e.b.CreateSDiv(group, e.i64(spec.key_group));
    return e.b.CreateMul(e.b.CreateMul(key_head, capacity), e.i64(spec.head_size));
  }
  /// The end of the keys that query t sees.
  Value *limit(Value *group, Value *t) const {
    Value *batch = e.b.CreateSDiv(group, heads);
    Value *seen = past ? e.loadIndex(past, batch) : e.i64(0);
    Value *limit = e.b.CreateAdd(seen, spec.causal ? e.b.CreateAdd(t, e.i64(1)) : queries);
    if (length) limit = e.min(limit, e.b.CreateAdd(seen, e.loadIndex(length, batch)));
    return e.max(e.min(limit, capacity), e.i64(0));
  }
  /// The first key of query t's window, negative if the window begins before the first key. The specification must have
  /// a window.
  Value *windowBegin(Value *group, Value *t) const {
    Value *seen = past ? e.loadIndex(past, e.b.CreateSDiv(group, heads)) : e.i64(0);
    return e.b.CreateAdd(e.b.CreateAdd(seen, t), e.i64(1 - spec.window));
  }
  /// cap tanh(score / cap), or the score if there is no cap.
  Value *capped(Value *score) const {
    if (spec.cap == 0) return score;
    const int lanes = Emitter::lanesOf(score);
    Value *inner = e.b.CreateFMul(score, e.f32(1 / double(spec.cap), lanes));
    return e.b.CreateFMul(e.tanh(inner), e.f32(spec.cap, lanes));
  }

private:
  Value *rowAt(Value *group, Value *t, Value *stride) const {
    Value *batch = e.b.CreateSDiv(group, heads), *head = e.b.CreateSRem(group, heads);
    return e.muladd(e.muladd(batch, queries, t), stride, e.b.CreateMul(head, e.i64(spec.head_size)));
  }
};

/// The number of queries in one block of attention_blocks.cpp.
int64_t attentionBlock(const Isa &isa, const AttentionSpec &spec);
/// Computes the blocks of `group` that begin in [from, to). `from` is a multiple of attentionBlock(). If `rounds`, the
/// factors of both products are rounded to bf16.
void emitAttentionBlocks(const AttentionOperands &operands, Value *group, Value *from, Value *to,
                         bool rounds);

} // namespace linnet::cpu
