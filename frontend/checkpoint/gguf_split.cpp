// Opens a .gguf file, and with a split file all others of its model.
#include "frontend/checkpoint/gguf.h"
#include "support/error.h"

#include <filesystem>
#include <optional>
#include <set>

namespace linnet {
namespace {

constexpr int64_t kMaxSplits = 99'999; // five digits in the names of the files
constexpr const char *kNumber = "split.no", *kCount = "split.count", *kTensors = "split.tensors.count";

std::string splitName(const std::string &prefix, int64_t number, int64_t count) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, number + 1, count);
}

/// The place of a file among the split files of its model. `number` is from 0 to count - 1.
struct Split {
  int64_t number, count, tensors;
};
/// Nothing if the file holds a whole model.
Result<std::optional<Split>> splitOf(const GgufFile &file, const std::string &path) {
  if (!file.has(kCount)) return std::optional<Split>();
  Split split{};
  LINNET_ASSIGN(split.count, file.integer(kCount));
  if (split.count <= 1) return std::optional<Split>();
  LINNET_ASSIGN(split.number, file.integer(kNumber));
  LINNET_ASSIGN(split.tensors, file.integer(kTensors));
  if (split.count > kMaxSplits || split.number < 0 || split.number >= split.count || split.tensors < 0)
    return errorf("{}: {} {} of {} with {} {} is impossible", path, kNumber, split.number, split.count,
                  kTensors, split.tensors);
  return std::optional(split);
}

/// An error if `file` is not number `number` of the model that `first` begins.
Result<void> checkBelongs(const GgufFile &file, const std::string &path, int64_t number,
                          const GgufFile &first, const std::string &first_path, const Split &wanted) {
  LINNET_ASSIGN(std::optional<Split> split, splitOf(file, path));
  if (!split || split->number != number || split->count != wanted.count)
    return errorf("{}: expected split file {} of {}, found {}", path, number + 1, wanted.count,
                  split ? fmt::format("{} of {}", split->number + 1, split->count) : "a whole model");
  if (split->tensors != wanted.tensors)
    return errorf("{}: belongs to another model than {}: {} is {}, expected {}", path, first_path, kTensors,
                  split->tensors, wanted.tensors);
  // Later files repeat few keys of the first, or none.
  for (auto &[key, value] : file.metadata())
    if (auto same = first.metadata().find(key);
        key != kNumber && same != first.metadata().end() && same->second != value)
      return errorf("{}: belongs to another model than {}: \"{}\" differs", path, first_path,
                    key.substr(0, kShownName));
  return {};
}

} // namespace

Result<GgufFile> GgufFile::openOne(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  auto bytes = file.bytes();
  LINNET_ASSIGN(GgufFile result, parse(std::move(file), bytes, path));
  result.files = {path};
  return result;
}

Result<GgufFile> GgufFile::open(const std::string &path) {
  LINNET_ASSIGN(GgufFile given, openOne(path));
  LINNET_ASSIGN(std::optional<Split> split, splitOf(given, path));
  if (!split) return given;
  const std::string ending = splitName("", split->number, split->count);
  const std::string name = std::filesystem::path(path).filename().string();
  if (!name.ends_with(ending) || name.size() == ending.size())
    return errorf("{}: split file {} of {} is expected to have a name that ends with {}", path,
                  split->number + 1, split->count, ending);
  const std::string prefix = path.substr(0, path.size() - ending.size());
  const std::string first_path = splitName(prefix, 0, split->count);
  GgufFile whole;
  std::set<std::string, std::less<>> names;
  for (int64_t number = 0; number < split->count; ++number) {
    const std::string part_path = splitName(prefix, number, split->count);
    if (!fileExists(part_path))
      return errorf("{}: missing: {} is split file {} of {}", part_path, path, split->number + 1,
                    split->count);
    LINNET_ASSIGN(GgufFile part, openOne(part_path));
    LINNET_TRY(
        checkBelongs(part, part_path, number, number ? whole : part, number ? first_path : path, *split));
    for (const TensorView &tensor : part.list)
      if (!names.insert(tensor.name).second)
        return errorf("{}: tensor \"{}\" is also in an earlier split file", part_path,
                      tensor.name.substr(0, kShownName));
    if (number == 0) {
      whole = std::move(part);
      continue;
    }
    whole.files.push_back(part_path);
    whole.list.insert(whole.list.end(), part.list.begin(), part.list.end());
  }
  if (whole.list.size() != static_cast<uint64_t>(split->tensors))
    return errorf("{}: the {} split files hold {} tensors, {} is {}", first_path, split->count,
                  whole.list.size(), kTensors, split->tensors);
  return whole;
}

} // namespace linnet
