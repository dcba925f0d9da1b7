#include "passes/Target.h"

#include <algorithm>

namespace linnet {
namespace {

std::vector<const TargetDescription *> &registry() {
  static std::vector<const TargetDescription *> targets;
  return targets;
}

} // namespace

void registerTarget(const TargetDescription &target) {
  auto same = std::ranges::find(registry(), target.name, [](auto *known) { return known->name; });
  if (same != registry().end())
    *same = &target;
  else
    registry().push_back(&target);
}

const TargetDescription *findTarget(llvm::StringRef name) {
  for (const TargetDescription *target : registry())
    if (target->name == name.split(':').first) return target;
  return nullptr;
}

std::string targetNames() {
  std::string names;
  for (const TargetDescription *target : registry()) names += (names.empty() ? "" : ", ") + target->name;
  return names;
}

} // namespace linnet
