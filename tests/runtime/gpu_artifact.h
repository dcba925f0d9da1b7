// Artifacts of shaders: y = step(...step(x)), one dispatch each.
#pragma once
#include "tests/runtime/fixtures.h"

namespace fixtures {

inline std::unique_ptr<fb::GroupsT> groups(std::unique_ptr<fb::ExprT> amount, uint32_t per) {
  auto made = std::make_unique<fb::GroupsT>();
  made->amount = std::move(amount);
  made->per = per;
  return made;
}

inline std::unique_ptr<fb::ShaderT> shader(ArtifactWriter &writer, const std::string &name,
                                           std::span<const uint32_t> words, uint32_t bindings,
                                           uint32_t push_words, uint32_t local_x = 64) {
  auto made = std::make_unique<fb::ShaderT>();
  made->name = name;
  made->words = std::make_unique<fb::BlobT>(*writer.add(std::as_bytes(words)));
  made->bindings = bindings;
  made->push_words = push_words;
  made->local_x = local_x;
  return made;
}

inline std::unique_ptr<fb::ChoiceT> choice(const std::string &name, std::unique_ptr<fb::StepT> step) {
  auto made = std::make_unique<fb::ChoiceT>();
  made->name = name;
  made->steps.push_back(std::move(step));
  return made;
}

/// A step of shader `number` over all of the dispatch's args in order, with the first push word `n` and a
/// workgroup for each 64 of it.
inline std::unique_ptr<fb::StepT> step(uint32_t number, std::vector<fb::Access> access,
                                       std::unique_ptr<fb::ExprT> n) {
  auto made = std::make_unique<fb::StepT>();
  made->shader = number;
  for (uint32_t i = 0; i < access.size(); ++i) made->args.push_back(i);
  made->access = std::move(access);
  made->groups.push_back(groups(std::make_unique<fb::ExprT>(*n), 64));
  made->push.push_back(std::move(n));
  return made;
}

} // namespace fixtures
