// Verdicts of trials about kernel variants on one device and driver, stored next to the pipeline cache.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/device/inventory.h"
#include "support/result.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace linnet::vulkan {

enum class Verdict : uint8_t { ok, wrong, refused, hangs, loses, crashes, untried };
/// "wrong answer", "does not compile", ...
LINNET_API const char *verdictText(Verdict verdict);

/// A variant: a shader. The hash covers its name and words, so the verdict about an older compiler's shader of the same
/// name does not apply.
struct Variant {
  uint64_t hash = 0;
  std::string shader;
  bool operator==(const Variant &) const = default;
};

struct Tried {
  Variant variant;
  Verdict verdict = Verdict::ok;
  std::string detail; ///< one line; may be empty
  bool operator==(const Tried &) const = default;
};

class LINNET_API Verdicts {
public:
  /// The stored verdicts; empty if there is no readable file for this device and driver.
  static Verdicts read(const Inventory &inventory);
  /// Writes the file. If it fails, the next start tries the variants again.
  Result<void> save(const Inventory &inventory) const;

  const Tried *find(uint64_t hash) const;
  void add(Tried tried) { list[tried.variant.hash] = std::move(tried); }
  /// By hash.
  const std::map<uint64_t, Tried> &all() const & { return list; }
  std::map<uint64_t, Tried> all() && { return std::move(list); }
  /// Adds the verdicts of `other`.
  void merge(const Verdicts &other);

  /// The file's data, JSON. `parse` accepts only a complete, valid text.
  std::string text() const;
  static Result<Verdicts> parse(std::string_view text);

private:
  std::map<uint64_t, Tried> list;
};

} // namespace linnet::vulkan
