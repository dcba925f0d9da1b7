#include "backends/common/backend.h"

#include "support/error.h"

#include <algorithm>

namespace linnet {
namespace {

std::vector<std::unique_ptr<Backend>> &registry() {
  static std::vector<std::unique_ptr<Backend>> backends;
  return backends;
}

} // namespace

Result<void> Backend::checkArgument(const std::string &argument) const {
  if (argument.empty()) return {};
  return errorf("target '{}' takes nothing after its name, found ':{}'", description().name, argument);
}

void registerBackend(std::unique_ptr<Backend> backend) {
  registerTarget(backend->description());
  auto same = std::ranges::find_if(registry(), [&](const auto &known) {
    return known->description().name == backend->description().name;
  });
  if (same != registry().end())
    *same = std::move(backend);
  else
    registry().push_back(std::move(backend));
}

const Backend *findBackend(std::string_view name) {
  for (const auto &backend : registry())
    if (backend->description().name == name) return backend.get();
  return nullptr;
}

std::vector<const Backend *> backends() {
  std::vector<const Backend *> all;
  for (const auto &backend : registry()) all.push_back(backend.get());
  return all;
}

} // namespace linnet
