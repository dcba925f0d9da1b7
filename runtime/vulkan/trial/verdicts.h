// What trials have found out about kernel variants on one device and driver, remembered beside the pipeline
// cache.
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

/// A variant: a shader with the values of its specialization constants. The hash is of name, words and
/// values, so that the verdict of an older compiler's shader of that name is not taken for this one's.
struct Variant {
  uint64_t hash = 0;
  std::string shader;
  bool operator==(const Variant &) const = default;
};

struct Tried {
  Variant variant;
  Verdict verdict = Verdict::ok;
  std::string detail; ///< one line, "" where there is no more to say
  bool operator==(const Tried &) const = default;
};

class LINNET_API Verdicts {
public:
  /// Nothing where there is no file for this device and driver, or none that can be read.
  static Verdicts read(const Inventory &inventory);
  /// With a file that cannot be written, the next start tries again.
  Result<void> save(const Inventory &inventory) const;

  const Tried *find(uint64_t hash) const;
  void add(Tried tried) { list[tried.variant.hash] = std::move(tried); }
  /// By hash.
  const std::map<uint64_t, Tried> &all() const & { return list; }
  std::map<uint64_t, Tried> all() && { return std::move(list); }
  /// Takes over what `other` knows.
  void merge(const Verdicts &other);

  /// The file's data: JSON. `parse` takes all of it or is an error.
  std::string text() const;
  static Result<Verdicts> parse(std::string_view text);

private:
  std::map<uint64_t, Tried> list;
};

} // namespace linnet::vulkan
