// The validation layers watch the training programs of tests/compiler/training_test.cpp: what they say ends
// the test.
#include "runtime/vulkan/device/context.h"

#include <cstdio>
#include <cstdlib>

namespace {

const bool kWatched = [] {
  linnet::vulkan::setMessageHandler([](const std::string &message) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::abort();
  });
  return true;
}();

} // namespace
