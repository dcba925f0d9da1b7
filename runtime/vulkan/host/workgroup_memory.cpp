// How lanes reach variables and buffers, and what becomes unknown on the way.
#include "runtime/vulkan/host/workgroup.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kNumWorkgroups = 24, kWorkgroupId = 26, kLocalId = 27, kGlobalId = 28;

} // namespace

const HostBinding *Workgroup::bindingOf(const CodeVariable &v) const {
  return v.binding < call.bindings.size() ? &call.bindings[v.binding] : nullptr;
}

bool Workgroup::access(const CodeInstruction &i) {
  using enum Opcode;
  if (i.op == access_chain) {
    std::copy_n(reg(i.in[0]), lanes, reg(i.result));
    return true;
  }
  const bool reads = i.op == load, writes = i.op == store;
  if (!reads && !writes && i.op != atomic_add && i.op != atomic_and && i.op != atomic_or) return false;
  auto chain = code.chains.find(i.in[0]);
  const bool whole = chain == code.chains.end();
  const CodeVariable &v = code.variables.at(whole ? i.in[0] : chain->second);
  const uint32_t *index = whole ? nullptr : reg(i.in[0]);
  switch (v.storage) {
  case Storage::input:
    return reads && whole && loadInput(i, v);
  case Storage::push: {
    if (!reads || whole) return false;
    for (uint32_t l = 0; l < lanes; ++l)
      reg(i.result)[l] = index[l] < call.push.size() ? call.push[index[l]] : 0;
    return true;
  }
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

bool Workgroup::loadInput(const CodeInstruction &i, const CodeVariable &v) {
  if (i.width != 3) return false;
  const auto &size = code.local_size;
  for (uint32_t l = 0; l < lanes; ++l) {
    const uint32_t local[] = {l % size[0], l / size[0] % size[1], l / size[0] / size[1]};
    for (uint32_t k = 0; k < 3; ++k) {
      uint32_t &to = reg(i.result)[k * lanes + l];
      if (v.builtin == kLocalId)
        to = local[k];
      else if (v.builtin == kWorkgroupId)
        to = group[k];
      else if (v.builtin == kGlobalId)
        to = group[k] * size[k] + local[k];
      else if (v.builtin == kNumWorkgroups)
        to = call.groups[k];
      else
        return false;
    }
  }
  return true;
}

void Workgroup::loadBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const HostBinding &binding = *bindingOf(v);
  uint32_t *r = reg(i.result);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    for (uint32_t k = 0; k < i.width; ++k) {
      const uint64_t word = uint64_t(index[l]) * v.width + k;
      const Segment *s = binding.find(word);
      const bool is_known = s && (!s->marks || s->marks[word - s->begin] != kUnknown);
      r[k * lanes + l] = is_known ? s->data[word - s->begin] : 0;
      if (!is_known) taint(l);
    }
  }
}

void Workgroup::storeBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const HostBinding &binding = *bindingOf(v);
  const uint32_t *from = reg(i.in[1]);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    for (uint32_t k = 0; k < v.width; ++k) {
      const uint64_t word = uint64_t(index[l]) * v.width + k;
      const Segment *s = binding.find(word);
      if (!s || !s->marks) {
        taint(l); // nothing that a kernel does
        continue;
      }
      s->data[word - s->begin] = from[k * lanes + l];
      s->marks[word - s->begin] = tainted[l] ? kUnknown : call.mark;
    }
  }
}

void Workgroup::atomic(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const HostBinding &binding = *bindingOf(v);
  uint32_t *r = reg(i.result);
  const uint32_t *from = reg(i.in[3]);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    const Segment *s = binding.find(index[l]);
    if (!s || !s->marks || s->marks[index[l] - s->begin] == kUnknown) {
      taint(l);
      continue;
    }
    uint32_t &word = s->data[index[l] - s->begin];
    r[l] = word;
    word = i.op == Opcode::atomic_add   ? word + from[l]
           : i.op == Opcode::atomic_and ? word & from[l]
                                        : word | from[l];
    s->marks[index[l] - s->begin] = tainted[l] ? kUnknown : call.mark;
  }
}

/// Calls f(lane, k, word) for each word of the element that a lane means. One outside of the variable taints.
template <class F>
void Workgroup::forWords(const CodeVariable &v, uint32_t width, const uint32_t *index, F f) {
  for (uint32_t l = 0; l < lanes; ++l) {
    if (!mask[l]) continue;
    const uint32_t element = index ? index[l] : 0;
    if (element >= v.count) {
      taint(l);
      continue;
    }
    for (uint32_t k = 0; k < width; ++k) f(l, k, v.at + size_t(element) * v.width + k);
  }
}

void Workgroup::loadLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  uint32_t *r = reg(i.result);
  forWords(v, i.width, index, [&](uint32_t l, uint32_t k, size_t word) {
    if (v.storage == Storage::workgroup && !workgroup_known[word]) taint(l);
    r[k * lanes + l] = v.storage == Storage::workgroup ? workgroup[word] : function[word * lanes + l];
  });
}

void Workgroup::storeLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index) {
  const uint32_t *from = reg(i.in[1]);
  forWords(v, v.width, index, [&](uint32_t l, uint32_t k, size_t word) {
    if (v.storage == Storage::workgroup)
      workgroup[word] = from[k * lanes + l], workgroup_known[word] = !tainted[l];
    else
      function[word * lanes + l] = from[k * lanes + l];
  });
}

} // namespace linnet::vulkan
