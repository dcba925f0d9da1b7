// Fuses two commands if item i of the second needs nothing but item i of the first. The thread then reads what it has
// just written, without a barrier between the commands. For one token, norms and roundings take less time than a
// barrier.
#include "backends/cpu/call.h"
#include "backends/cpu/emitter.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

bool overlap(const fb::RefT &x, const fb::RefT &y) {
  return x.space == y.space && x.index == y.index && x.offset < y.offset + y.size &&
         y.offset < x.offset + x.size;
}

bool samePlace(const fb::RefT &x, const fb::RefT &y) {
  return x.space == y.space && x.index == y.index && x.offset == y.offset;
}

} // namespace

int64_t itemsInTurn(const Call &call, const Call &next) {
  if (!call.itemwise || !next.itemwise || call.work.symbols != next.work.symbols) return 0;
  if (call.work.factor <= 0 || next.work.factor % call.work.factor) return 0;
  const fb::RefT &written = call.args.back();
  for (const fb::RefT &arg : call.args)
    if (overlap(arg, next.args.back())) return 0; // a thread may still read or write other items there
  for (size_t i = 0; i + 1 < next.args.size(); ++i)
    if (overlap(written, next.args[i]) && !(i == 0 && samePlace(written, next.args[i]) && !call.scatters))
      return 0;
  return next.work.factor / call.work.factor;
}

Call inTurn(Call call, Call next, int64_t items) {
  const auto own = int64_t(call.args.size());
  std::string name = fmt::format("{}_then_{}x_{}", call.kernel.name, items, next.kernel.name);
  auto emit = [first = std::move(call.kernel.emit), second = std::move(next.kernel.emit), own,
               items](Emitter &e) {
    first(e);
    e.args = e.b.CreateConstGEP1_64(e.b.getPtrTy(), e.args, uint64_t(own));
    e.begin = e.b.CreateMul(e.begin, e.i64(items)), e.end = e.b.CreateMul(e.end, e.i64(items));
    second(e);
  };
  Call both{{std::move(name), std::move(emit)}, std::move(call.args), call.work, call.grain};
  both.args.insert(both.args.end(), next.args.begin(), next.args.end());
  return both;
}

} // namespace linnet::cpu
