// Known answers: words of a dispatch's results at a small size. The compiler has executed the dispatch's last
// choice (compiler/known_answers.h) and stored some of what it wrote; a device's results are compared with
// these words.
#pragma once
#include "runtime/vulkan/trial/trial.h"

#include <map>
#include <optional>

namespace linnet::vulkan {

/// The known answers of a program. An artifact of an older compiler has none.
class KnownAnswers {
public:
  explicit KnownAnswers(const fb::Program &program);
  /// A trial of a choice with these shaders, at the size of a known answer; nothing where there is no such
  /// answer or the device cannot run the choice at that size. Its suspects are left to the caller.
  std::optional<Trial> trial(const Workbench &bench, const std::vector<PipelineKey> &keys,
                             const PutAside &aside) const;

private:
  struct Known {
    const fb::KnownAnswer *answer = nullptr;
    uint32_t choice = 0;
  };
  const fb::Program &program;
  std::map<std::vector<PipelineKey>, Known> answers;
};

/// The answer that the artifact holds, marked where words are known. `trial` has one.
Answer knownAnswer(const fb::Program &program, const Trial &trial);

} // namespace linnet::vulkan
