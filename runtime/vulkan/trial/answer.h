// What a dispatch gives: outputs, with what is known of them, and how two answers differ.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "runtime/vulkan/host/host_memory.h"

#include <string>
#include <vector>

namespace linnet::vulkan {

/// The first bytes of an operand that was written.
struct Output {
  uint32_t arg = 0;
  std::vector<std::byte> bytes;
  std::vector<Mark> marks; ///< of each word; empty: a device's, all of it counts
};
using Answer = std::vector<Output>;

/// Without working memory.
Answer resultsOf(const fb::Dispatch &dispatch, Answer answer);
/// Of how many results marks say that some finite number is known.
size_t knownResults(const fb::Dispatch &dispatch, const Answer &answer);

/// How `found`, outputs of the same operands, differs from `expected` by more than `tolerance` of the largest
/// number, in a line; empty: it does not. Numbers of 16 bits may also be rounded to the other side. i32 are
/// the same; behind products of a larger tolerance than usual they are tokens, each as good as the best but
/// for it. Words count that some step has written, or the one that marks its words with `only`. What is not
/// finite must not be finite in either where both come from a device.
std::string difference(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       const Answer &found, Mark only = 0);

} // namespace linnet::vulkan
