#include "frontend/checkpoint/names.h"

#include <array>

namespace linnet {
namespace {

constexpr std::array<std::string_view, 3> kOuterWrappers = {"module.", "base_model.model.", "model."};
constexpr std::array<std::string_view, 3> kInnerWrappers = {"_orig_mod.", "_fsdp_wrapped_module.",
                                                            "_checkpoint_wrapped_module."};

bool isPart(std::string_view name, std::string_view part) {
  for (size_t at = name.find(part); at != std::string_view::npos; at = name.find(part, at + 1))
    if (at == 0 || name[at - 1] == '.') return true;
  return false;
}

} // namespace

std::string canonicalName(std::string_view stored, std::string_view body_prefix) {
  std::string name(stored);
  for (std::string_view wrapper : kInnerWrappers)
    for (size_t at = 0; (at = name.find(wrapper, at)) != std::string::npos;)
      if (at == 0 || name[at - 1] == '.')
        name.erase(at, wrapper.size());
      else
        ++at;
  for (bool again = true; again;) {
    again = false;
    auto remove = [&](std::string_view wrapper) {
      if (!name.starts_with(wrapper)) return;
      name.erase(0, wrapper.size());
      again = true;
    };
    for (std::string_view wrapper : kOuterWrappers) remove(wrapper);
    if (!body_prefix.empty()) remove(body_prefix);
  }
  return name;
}

bool isAdapterPart(std::string_view stored) {
  for (std::string_view part : {"lora_A.", "lora_B.", "lora_embedding_A.", "lora_embedding_B.",
                                "lora_magnitude_vector.", "base_layer.", "modules_to_save.", "ia3_l."})
    if (isPart(stored, part)) return true;
  return false;
}

} // namespace linnet
