#include "runtime/vulkan/trial/variants.h"
#include "runtime/artifact/format.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

uint64_t hashOf(std::string_view name, std::span<const std::byte> words) {
  const uint64_t parts[] = {format::hashBytes(words), format::hashBytes(std::as_bytes(std::span(name)))};
  return format::hashBytes(std::as_bytes(std::span(parts)));
}

} // namespace

KnownVariants::KnownVariants(const Inventory &inventory, const Artifact &artifact, const fb::Program &program)
    : inventory(inventory) {
  forEachChoice(program, [&](uint32_t entry, uint32_t command, uint32_t c) {
    const auto &choices = *dispatchOf(program, entry, command).choices();
    for (uint32_t number : shadersOf(*choices.Get(c))) {
      if (c + 1 == choices.size()) last.insert(number);
      auto [found, fresh] = variants.try_emplace(number);
      if (!fresh) continue;
      const fb::Shader &shader = *program.shaders()->Get(number);
      found->second = {hashOf(shader.name()->string_view(), artifact.blob(*shader.words())),
                       shader.name()->str()};
    }
  });
  verdicts = Verdicts::read(inventory);
}

void KnownVariants::takeOver(const TrialMark &left) {
  verdicts.merge(Verdicts::read(inventory));
  for (const Variant &variant : left.variants)
    if (!left.alone)
      suspects.insert(variant.hash);
    else
      verdicts.add({variant, Verdict::crashes, "a process ended while it was tried"});
  if (left.alone && !left.variants.empty()) (void)save();
}

bool KnownVariants::isKnown(uint32_t shader) const {
  const uint64_t hash = variants.at(shader).hash;
  return verdicts.find(hash) || passing.find(hash) || skipped.count(hash);
}

bool KnownVariants::hasFailed(uint32_t shader) const {
  for (const Verdicts *from : {&verdicts, &passing})
    if (const Tried *found = from->find(variants.at(shader).hash); found && found->verdict != Verdict::ok)
      return true;
  return false;
}

bool KnownVariants::isSuspect(const Trial &trial) const {
  return std::ranges::any_of(trial.suspects,
                             [&](uint32_t shader) { return suspects.count(variants.at(shader).hash) > 0; });
}

std::vector<uint32_t> KnownVariants::unknown(const std::vector<uint32_t> &shaders) const {
  std::vector<uint32_t> found;
  std::ranges::copy_if(shaders, std::back_inserter(found), [&](uint32_t shader) { return !isKnown(shader); });
  return found;
}

PutAside KnownVariants::failed() const {
  PutAside names;
  for (const auto &[shader, variant] : variants)
    for (const Verdicts *from : {&verdicts, &passing})
      if (const Tried *found = from->find(variant.hash); found && found->verdict != Verdict::ok)
        names[variant.shader] =
            std::string(verdictText(found->verdict)) + (found->detail.empty() ? "" : ", " + found->detail);
  return names;
}

PutAside KnownVariants::notUsable() const {
  PutAside names = failed();
  for (const auto &[shader, variant] : variants)
    if (!isLast(shader) && !isKnown(shader)) names.emplace(variant.shader, "not tried yet");
  return names;
}

ptrdiff_t KnownVariants::losses() const {
  return std::ranges::count_if(variants, [&](const auto &variant) {
    const Tried *found = verdicts.find(variant.second.hash);
    return found && (found->verdict == Verdict::hangs || found->verdict == Verdict::loses ||
                     found->verdict == Verdict::crashes);
  });
}

void KnownVariants::conclude(std::span<const uint32_t> shaders, Verdict verdict, const std::string &detail) {
  for (uint32_t shader : shaders) verdicts.add({variants.at(shader), verdict, detail});
}

void KnownVariants::refuseForNow(uint32_t shader, const std::string &detail) {
  passing.add({variants.at(shader), Verdict::refused, detail});
}

void KnownVariants::skip(const Trial &trial) {
  for (uint32_t shader : trial.suspects) skipped.insert(variants.at(shader).hash);
}

} // namespace linnet::vulkan
