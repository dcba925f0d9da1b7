// What a dispatch gives: outputs, with what is known of them, and how two answers differ.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"
#include "runtime/vulkan/trial/mark.h"

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
LINNET_API Answer resultsOf(const fb::Dispatch &dispatch, Answer answer);
/// Of how many results marks say that some finite number is known.
LINNET_API size_t knownResults(const fb::Dispatch &dispatch, const Answer &answer);

/// How `found`, outputs of the same operands, differs from `expected` by more than `tolerance` of the largest
/// number, in a line; empty: it does not. Numbers of 16 bits may also be rounded to the other side. i32 are
/// the same; behind products of a larger tolerance than usual they are tokens: each must be as good as the
/// best in `found`'s own row of floats, within the tolerance. Only words that a step has written are
/// compared, or those marked `only`. If both answers come from a device, the same words must be finite in
/// both.
std::string difference(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       const Answer &found, Mark only = 0);

} // namespace linnet::vulkan
