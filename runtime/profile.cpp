#include "linnet/profile.h"
#include "runtime/expr.h"
#include "runtime/profiling.h"

#include <algorithm>

namespace linnet {

void Profiler::clear() {
  kept.commands.clear();
  kept.calls.clear();
  kept.events.clear();
  kept.dropped_calls = 0;
  seen.clear();
}

void Profiler::setExtent(std::string_view dim, int64_t value) {
  auto found = extents.find(dim);
  if (found != extents.end())
    found->second = value;
  else
    extents.emplace(dim, value);
}

int64_t Profiler::extent(std::string_view dim, int64_t bound) const {
  auto found = extents.find(dim);
  return found == extents.end() ? bound : std::min(found->second, bound);
}

// Commands are found by number first: between runs of an entry only their kernels differ.
uint32_t Profiler::commandNumber(size_t entry, std::string_view name, size_t number,
                                 const CommandTiming &timing) {
  auto &numbers = seen[entry].numbers;
  if (numbers.size() <= number) numbers.resize(number + 1);
  for (uint32_t known : numbers[number])
    if (kept.commands[known].kernel == timing.kernel) return known;
  auto fresh = static_cast<uint32_t>(kept.commands.size());
  kept.commands.push_back({std::string(name), static_cast<int>(number), std::string(timing.op),
                           std::string(timing.location), std::string(timing.kernel)});
  numbers[number].push_back(fresh);
  return fresh;
}

void Profiler::add(const RunTiming &run) {
  if (run.commands.size() > max_events - std::min(max_events, kept.events.size())) {
    ++kept.dropped_calls;
    return;
  }
  auto at = std::find_if(seen.begin(), seen.end(), [&](const Seen &s) { return s.entry == run.entry; });
  if (at == seen.end()) at = seen.insert(seen.end(), Seen{std::string(run.entry), {}});
  auto entry = static_cast<size_t>(at - seen.begin());
  auto call = static_cast<uint32_t>(kept.calls.size());
  kept.calls.push_back({std::string(run.entry), run.dims, run.begin, run.end, 0, kept.events.size(),
                        run.commands.size(), run.dispatches, run.barriers});
  for (size_t i = 0; i < run.commands.size(); ++i) {
    const CommandTiming &timing = run.commands[i];
    kept.events.push_back({call, commandNumber(entry, run.entry, i, timing), timing.begin, timing.end,
                           timing.flops, timing.bytes});
  }
  kept.calls.back().overhead = profileNow() - run.end;
}

std::vector<ProfileDim> profileDims(const fb::Program &program, std::span<const int64_t> symbols) {
  std::vector<ProfileDim> dims;
  for (uint32_t i = 0; i < program.symbols()->size(); ++i)
    dims.push_back({program.symbols()->Get(i)->str(), symbols[i]});
  return dims;
}

std::vector<int64_t> profileExtents(const Profiler &profiler, std::span<const ProfileDim> dims) {
  std::vector<int64_t> values;
  for (const ProfileDim &dim : dims) values.push_back(profiler.extent(dim.name, dim.value));
  return values;
}

} // namespace linnet
