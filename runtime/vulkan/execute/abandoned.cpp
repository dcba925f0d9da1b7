#include "runtime/vulkan/execute/abandoned.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kSecondsAtExit = 2;

struct Abandoned {
  std::shared_ptr<Context> context;
  std::vector<std::shared_ptr<void>> users;
};

// Never destroyed, because its objects must survive the end of the process.
struct Registry {
  std::mutex mutex;
  std::vector<Abandoned> list;
};
Registry &registry() {
  static Registry *made = new Registry;
  return *made;
}

} // namespace

void abandon(std::shared_ptr<Context> context, std::shared_ptr<void> users) {
  // Registered now, because handlers run in reverse order and must run before the driver's.
  static int registered = std::atexit([] { reclaimAbandoned(kSecondsAtExit); });
  (void)registered;
  Registry &all = registry();
  std::lock_guard lock(all.mutex);
  auto found = std::ranges::find(all.list, context, &Abandoned::context);
  if (found == all.list.end()) found = all.list.insert(found, {std::move(context), {}});
  found->users.push_back(std::move(users));
}

size_t reclaimAbandoned(uint32_t seconds) {
  Registry &all = registry();
  std::lock_guard lock(all.mutex);
  std::erase_if(all.list, [&](Abandoned &one) {
    if (one.context->wait(seconds) == VK_TIMEOUT) return false;
    one.users.clear(); // destroyed before the device
    return true;
  });
  return all.list.size();
}

} // namespace linnet::vulkan
