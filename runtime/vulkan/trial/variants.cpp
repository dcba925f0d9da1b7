#include "runtime/vulkan/trial/variants.h"
#include "runtime/artifact/format.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

uint64_t hashOf(std::string_view name, std::span<const std::byte> words,
                std::span<const uint32_t> constants) {
  std::vector<uint64_t> parts = {format::hashBytes(words), format::hashBytes(std::as_bytes(std::span(name)))};
  parts.insert(parts.end(), constants.begin(), constants.end());
  return format::hashBytes(std::as_bytes(std::span(parts)));
}

} // namespace

KnownVariants::KnownVariants(const Inventory &inventory, const Artifact &artifact, const fb::Program &program)
    : inventory(inventory) {
  forEachChoice(program, [&](uint32_t entry, uint32_t command, uint32_t c) {
    const auto &choices = *dispatchOf(program, entry, command).choices();
    for (const PipelineKey &key : keysOf(*choices.Get(c))) {
      if (c + 1 == choices.size()) last.insert(key.shader);
      auto [found, fresh] = variants.try_emplace(key);
      if (!fresh) continue;
      const fb::Shader &shader = *program.shaders()->Get(key.shader);
      found->second = {hashOf(shader.name()->string_view(), artifact.blob(*shader.words()), key.constants),
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

bool KnownVariants::isKnown(const PipelineKey &key) const {
  const uint64_t hash = variants.at(key).hash;
  return verdicts.find(hash) || passing.find(hash) || skipped.count(hash);
}

bool KnownVariants::hasFailed(const PipelineKey &key) const {
  for (const Verdicts *from : {&verdicts, &passing})
    if (const Tried *found = from->find(variants.at(key).hash); found && found->verdict != Verdict::ok)
      return true;
  return false;
}

bool KnownVariants::isSuspect(const Trial &trial) const {
  return std::ranges::any_of(
      trial.suspects, [&](const PipelineKey &key) { return suspects.count(variants.at(key).hash) > 0; });
}

std::vector<PipelineKey> KnownVariants::unknown(const std::vector<PipelineKey> &keys) const {
  std::vector<PipelineKey> found;
  std::ranges::copy_if(keys, std::back_inserter(found),
                       [&](const PipelineKey &key) { return !isKnown(key); });
  return found;
}

PutAside KnownVariants::failed() const {
  PutAside names;
  for (const auto &[key, variant] : variants)
    for (const Verdicts *from : {&verdicts, &passing})
      if (const Tried *found = from->find(variant.hash); found && found->verdict != Verdict::ok)
        names[variant.shader] =
            std::string(verdictText(found->verdict)) + (found->detail.empty() ? "" : ", " + found->detail);
  return names;
}

PutAside KnownVariants::notUsable() const {
  PutAside names = failed();
  for (const auto &[key, variant] : variants)
    if (!isLast(key) && !isKnown(key)) names.emplace(variant.shader, "not tried yet");
  return names;
}

ptrdiff_t KnownVariants::losses() const {
  return std::ranges::count_if(variants, [&](const auto &variant) {
    const Tried *found = verdicts.find(variant.second.hash);
    return found && (found->verdict == Verdict::hangs || found->verdict == Verdict::loses ||
                     found->verdict == Verdict::crashes);
  });
}

void KnownVariants::conclude(std::span<const PipelineKey> keys, Verdict verdict, const std::string &detail) {
  for (const PipelineKey &key : keys) verdicts.add({variants.at(key), verdict, detail});
}

void KnownVariants::refuseForNow(const PipelineKey &key, const std::string &detail) {
  passing.add({variants.at(key), Verdict::refused, detail});
}

void KnownVariants::skip(const Trial &trial) {
  for (const PipelineKey &key : trial.suspects) skipped.insert(variants.at(key).hash);
}

} // namespace linnet::vulkan
