// The outputs of a dispatch, which of their words are known, and the comparison of two answers.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"
#include "runtime/vulkan/trial/mark.h"

#include <string>
#include <vector>

namespace linnet::vulkan {

/// The first bytes of a written operand.
struct Output {
  uint32_t arg = 0;
  std::vector<std::byte> bytes;
  std::vector<Mark> marks; ///< one per word; empty if a device wrote them: all words count
};
using Answer = std::vector<Output>;

/// `answer` without working memory.
LINNET_API Answer resultsOf(const fb::Dispatch &dispatch, Answer answer);
/// The number of results that have a known finite word.
LINNET_API size_t knownResults(const fb::Dispatch &dispatch, const Answer &answer);

/// A line about the first difference of more than `tolerance` times the largest number; empty if there is
/// none. `expected` and `found` have the same operands. 16-bit numbers may also differ by one rounding. i32
/// must be equal. With a tolerance above the default they are tokens: each must be as good as the best of
/// `found`'s row of floats, within the tolerance. Compares the words that a step has written, or those marked
/// `only`. If both answers come from a device, the same words must be finite in both.
std::string difference(const fb::Dispatch &dispatch, double tolerance, const Answer &expected,
                       const Answer &found, Mark only = 0);

} // namespace linnet::vulkan
