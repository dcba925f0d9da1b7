// Known answers: words of a dispatch's results at a small size. The compiler has executed one choice of the
// dispatch (compiler/known_answers.h) and stored some of the words that it wrote. A device's results are
// compared with them.
#pragma once
#include "runtime/vulkan/trial/trial.h"

#include <map>
#include <optional>

namespace linnet::vulkan {

/// The known answers of a program. An artifact of an older compiler has none.
class KnownAnswers {
public:
  explicit KnownAnswers(const fb::Program &program);
  /// A trial of a choice with these shaders at the size of a known answer. Nothing if there is no such
  /// answer, or if the device cannot run the choice at that size. The caller sets its suspects.
  std::optional<Trial> trial(const Workbench &bench, const std::vector<uint32_t> &shaders,
                             const PutAside &aside) const;

private:
  struct Known {
    const fb::KnownAnswer *answer = nullptr;
    uint32_t choice = 0;
  };
  const fb::Program &program;
  std::map<std::vector<uint32_t>, Known> answers;
};

/// The stored answer of `trial`, which must have one, with its known words marked.
Answer knownAnswer(const fb::Program &program, const Trial &trial);

} // namespace linnet::vulkan
