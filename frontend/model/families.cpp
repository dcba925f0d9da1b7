#include "frontend/model/family.h"

namespace linnet {

#define LINNET_FAMILY(name)                                                                                  \
  namespace name {                                                                                           \
  const Family &family();                                                                                    \
  }
#include "frontend/families.inc"
#undef LINNET_FAMILY

namespace {
std::vector<const Family *> &registered() {
#define LINNET_FAMILY(name) &name::family(),
  static std::vector<const Family *> all = {
#include "frontend/families.inc"
  };
#undef LINNET_FAMILY
  return all;
}
} // namespace

const std::vector<const Family *> &families() { return registered(); }

std::vector<Preset> presets() {
  std::vector<Preset> all;
  for (const Family *family : families())
    for (Preset &preset : family->presets()) all.push_back(std::move(preset));
  return all;
}

std::string hubNameOf(std::string_view name) {
  for (const Preset &preset : presets())
    if (name == preset.name && preset.hub) return preset.hub;
  return {};
}

void addFamily(const Family &family) { registered().push_back(&family); }

} // namespace linnet
