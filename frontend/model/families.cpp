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
void registerFamily(const Family &family) { registered().push_back(&family); }

} // namespace linnet
