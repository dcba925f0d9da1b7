// Accesses of lanes to variables and buffers. Accesses to unknown words make the lane's values unknown.
#include "backends/vulkan/simulator/workgroup.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kNumWorkgroups = 24, kWorkgroupId = 26, kLocalId = 27, kGlobalId = 28;
constexpr uint32_t kSubgroupSize = 36, kNumSubgroups = 38, kSubgroupId = 40, kSubgroupLane = 41;

} // namespace

const SimulatedBinding *Workgroup::bindingOf(const CodeVariable &v) const {
  return v.binding < call.bindings.size() ? &call.bindings[v.binding] : nullptr;
}

bool Workgroup::access(const CodeInstruction &i) {
  using enum Opcode;
  if (i.op == access_chain) {
    std::copy_n(reg(i.in[0]), lanes, reg(i.result));
    return true;
  }
  if (i.op == image_fetch) {
    fetch(i);
    return true;
  }
  const bool reads = i.op == load, writes = i.op == store;
  if (!reads && !writes && i.op != atomic_add && i.op != atomic_and && i.op != atomic_or) return false;
  const bool whole = !code.isChain(i.in[0]);
  const CodeVariable &v = variableOf(i.in[0]);
  const uint32_t *index = whole ? nullptr : reg(i.in[0]);
  switch (v.storage) {
  case Storage::input:
    return reads && whole && loadInput(i, v);
  case Storage::push: {
    if (!reads || whole) return false;
    for (uint32_t l = 0; l < lanes; ++l) {
      reg(i.result)[l] = index[l] < call.push.size() ? call.push[index[l]] : 0;
      if (call.watch && mask[l] && index[l] >= call.push.size()) outside(l, v, index[l]);
    }
    return true;
  }
  case Storage::texels:
    return false;
  case Storage::buffer:
    if (whole || !bindingOf(v)) return false;
    reads ? loadBuffer(i, v, index) : writes ? storeBuffer(i, v, index) : atomic(i, v, index);
    return true;
  default:
    if (!reads && !writes) return false;
    reads ? loadLocal(i, v, index) : storeLocal(i, v, index);
    return true;
  }
}

std::optional<uint32_t> Workgroup::inputOf(const CodeVariable &v, uint32_t lane, uint32_t k) const {
  const auto &size = code.local_size;
  const uint32_t number = invocation[lane];
  const uint32_t local[] = {number % size[0], number / size[0] % size[1], number / size[0] / size[1]};
  switch (v.builtin) {
  case kLocalId:
    return local[k];
  case kWorkgroupId:
    return group[k];
  case kGlobalId:
    return group[k] * size[k] + local[k];
  case kNumWorkgroups:
    return call.groups[k];
  case kSubgroupSize:
    return call.subgroup;
  case kNumSubgroups:
    return subgroups();
  case kSubgroupId:
    return lane / subgroupSize();
  case kSubgroupLane:
    return lane % subgroupSize();
  default:
    return {};
  }
}

// Inputs of subgroups are scalars, the others are vectors of three.
bool Workgroup::loadInput(const CodeInstruction &i, const CodeVariable &v) {
  if (i.width != (v.builtin >= kSubgroupSize ? 1 : 3)) return false;
  if (v.builtin == kWorkgroupId || v.builtin == kNumWorkgroups) { // the same for all lanes
    for (uint32_t k = 0; k < i.width; ++k)
      std::fill_n(reg(i.result) + size_t(k) * lanes, lanes,
                  v.builtin == kWorkgroupId ? group[k] : call.groups[k]);
    return true;
  }
  for (uint32_t l = 0; l < lanes; ++l)
    for (uint32_t k = 0; k < i.width; ++k) {
      const std::optional<uint32_t> input = inputOf(v, l, k);
      if (!input) return false;
      reg(i.result)[k * lanes + l] = *input;
    }
  return true;
}

std::string Workgroup::place(const CodeVariable &v, uint64_t word) const {
  const std::string name = v.name.empty() ? "" : " '" + v.name + "'";
  if (v.storage == Storage::workgroup) return fmt::format("word {} of shared memory{}", word - v.at, name);
  if (v.storage == Storage::function) return fmt::format("word {} of an array{}", word, name);
  if (v.storage == Storage::push) return fmt::format("push constant {}", word);
  return fmt::format("word {} of binding {}", word, v.binding);
}

void Workgroup::outside(uint32_t lane, const CodeVariable &v, uint64_t word) {
  taint(lane);
  if (call.watch && !call.watch->found())
    call.watch->report(fmt::format("invocation {} of workgroup {}x{}x{} reaches {}, where it has nothing",
                                   invocation[lane], group[0], group[1], group[2], place(v, word)));
}

void Workgroup::touch(Watch::Access how, uint16_t unit, const CodeVariable &v, WordLog *log, uint64_t word) {
  if (!call.watch || !log) return;
  const char *met = v.coherent ? call.watch->meetsOthers(how, unit)
                               : call.watch->meets(*log, how, unit, v.storage == Storage::workgroup);
  if (!met || call.watch->found()) return;
  const char *does = how == Watch::Access::read ? "reads" : "writes";
  call.watch->report(fmt::format("part {} of workgroup {}x{}x{} {} {}, which {}; nothing orders the two",
                                 unit, group[0], group[1], group[2], does, place(v, word), met));
}

void Workgroup::loadBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const SimulatedBinding &binding = *bindingOf(v);
  uint32_t *r = reg(i.result);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    for (uint32_t k = 0; k < i.width; ++k) {
      const uint64_t word = uint64_t(index[l]) * v.width + k;
      const Segment *s = binding.find(word);
      const bool is_known = s && (!s->marks || s->marks[word - s->begin] != kUnknown);
      r[k * lanes + l] = is_known ? s->data[word - s->begin] : 0;
      if (!is_known)
        outside(l, v, word);
      else if (s->log)
        touch(Watch::Access::read, unitOf(l), v, s->log + (word - s->begin), word);
    }
  }
}

// A fetch returns as many words as the texel's format has. The other elements are undefined.
void Workgroup::fetch(const CodeInstruction &i) {
  const CodeVariable &v = variableOf(i.in[0]);
  const SimulatedBinding *binding = bindingOf(v);
  const uint32_t *index = reg(i.in[1]);
  uint32_t *r = reg(i.result);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    for (uint32_t k = 0; k < i.width; ++k) {
      r[k * lanes + l] = kPoison;
      const uint32_t words = binding ? binding->texel_words : 0;
      if (words && k >= words) continue;
      const uint64_t word = uint64_t(index[l]) * words + k;
      const Segment *s = words ? binding->find(word) : nullptr;
      if (!s || (s->marks && s->marks[word - s->begin] == kUnknown)) {
        outside(l, v, word);
        continue;
      }
      r[k * lanes + l] = s->data[word - s->begin];
      if (s->log) touch(Watch::Access::read, unitOf(l), v, s->log + (word - s->begin), word);
    }
  }
}

void Workgroup::storeBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const SimulatedBinding &binding = *bindingOf(v);
  const uint32_t *from = reg(i.in[1]);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    for (uint32_t k = 0; k < v.width; ++k) {
      const uint64_t word = uint64_t(index[l]) * v.width + k;
      const Segment *s = binding.find(word);
      if (!s || !s->marks) {
        outside(l, v, word); // correct kernels do not do this
        continue;
      }
      if (s->log) touch(Watch::Access::write, unitOf(l), v, s->log + (word - s->begin), word);
      s->data[word - s->begin] = from[k * lanes + l];
      s->marks[word - s->begin] = tainted[l] ? kUnknown : call.mark;
    }
  }
}

void Workgroup::atomic(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const SimulatedBinding &binding = *bindingOf(v);
  uint32_t *r = reg(i.result);
  const uint32_t *from = reg(i.in[3]);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    const Segment *s = binding.find(index[l]);
    if (!s || !s->marks || s->marks[index[l] - s->begin] == kUnknown) {
      outside(l, v, index[l]);
      continue;
    }
    const auto how = i.op == Opcode::atomic_add ? Watch::Access::atomic : Watch::Access::bits;
    if (s->log) touch(how, unitOf(l), v, s->log + (index[l] - s->begin), index[l]);
    uint32_t &word = s->data[index[l] - s->begin];
    r[l] = word;
    word = i.op == Opcode::atomic_add   ? word + from[l]
           : i.op == Opcode::atomic_and ? word & from[l]
                                        : word | from[l];
    s->marks[index[l] - s->begin] = tainted[l] ? kUnknown : call.mark;
  }
  if (call.watch && v.coherent && i.op == Opcode::atomic_add) count(v);
}

void Workgroup::count(const CodeVariable &v) {
  const char *why = call.watch->countsOthers();
  if (why) call.watch->report(fmt::format("an addition to binding {} {}", v.binding, why));
}

/// Calls f(lane, k, word) for each word of the element that a lane accesses. An element outside of the variable taints
/// the lane.
template <class F>
void Workgroup::forWords(const CodeVariable &v, uint32_t width, const uint32_t *index, F f) {
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    const uint32_t element = index ? index[l] : 0;
    if (element >= v.count) {
      outside(l, v, v.at + uint64_t(element) * v.width);
      continue;
    }
    for (uint32_t k = 0; k < width; ++k) f(l, k, v.at + size_t(element) * v.width + k);
  }
}

void Workgroup::loadLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  uint32_t *r = reg(i.result);
  if (v.storage == Storage::function && !index) { // a scalar or vector of each lane, the usual case
    std::copy_n(&function[size_t(v.at) * lanes], size_t(i.width) * lanes, r);
    return;
  }
  if (v.storage == Storage::function)
    forWords(v, i.width, index,
             [&](uint32_t l, uint32_t k, size_t word) { r[k * lanes + l] = function[word * lanes + l]; });
  else if (!call.watch)
    forWords(v, i.width, index, [&](uint32_t l, uint32_t k, size_t word) {
      if (!workgroup_known[word]) taint(l);
      r[k * lanes + l] = workgroup[word];
    });
  else
    forWords(v, i.width, index, [&](uint32_t l, uint32_t k, size_t word) {
      if (!workgroup_known[word]) taint(l);
      touch(Watch::Access::read, unitOf(l), v, &workgroup_log[word], word);
      r[k * lanes + l] = workgroup[word];
    });
}

void Workgroup::storeLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const uint32_t *from = reg(i.in[1]);
  if (v.storage == Storage::function && !index) {
    uint32_t *to = &function[size_t(v.at) * lanes];
    for (uint32_t k = 0; k < v.width; ++k, to += lanes, from += lanes)
      for (uint32_t l = 0; l < lanes; ++l) to[l] = mask[l] ? from[l] : to[l];
    return;
  }
  if (v.storage == Storage::function)
    forWords(v, v.width, index,
             [&](uint32_t l, uint32_t k, size_t word) { function[word * lanes + l] = from[k * lanes + l]; });
  else
    forWords(v, v.width, index, [&](uint32_t l, uint32_t k, size_t word) {
      if (call.watch) touch(Watch::Access::write, unitOf(l), v, &workgroup_log[word], word);
      workgroup[word] = from[k * lanes + l], workgroup_known[word] = !tainted[l];
    });
}

} // namespace linnet::vulkan
