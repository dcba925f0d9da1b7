#include "frontend/checkpoint/safetensors.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>
#include <cstring>

namespace linnet {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000; // the limit of the reference implementation
constexpr int kMaxRank = 16;

Result<StorageType> parseType(const std::string &text, const std::string &where) {
  for (auto type :
       {StorageType::f64, StorageType::f32, StorageType::f16, StorageType::bf16, StorageType::i64,
        StorageType::i32, StorageType::i16, StorageType::i8, StorageType::u8, StorageType::boolean})
    if (text == storageTypeName(type)) return type;
  return errorf("{}: unknown dtype \"{}\"", where, text.substr(0, 40));
}

Result<uint64_t> natural(const Json &json, const std::string &where, const char *what) {
  if (!json.is_number_unsigned()) return errorf("{}: {} is expected to be a whole number", where, what);
  return json.get<uint64_t>();
}

Result<TensorView> parseEntry(const std::string &name, const Json &entry, std::span<const std::byte> data,
                              const std::string &path, uint64_t &begin) {
  std::string where = fmt::format("{}: tensor \"{}\"", path, name.substr(0, 200));
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets"))
    return errorf("{}: expected dtype, shape and data_offsets", where);
  TensorView tensor;
  tensor.name = name;
  if (!entry["dtype"].is_string()) return errorf("{}: dtype is expected to be a string", where);
  LINNET_ASSIGN(tensor.type, parseType(entry["dtype"].get<std::string>(), where));
  const Json &shape = entry["shape"], &offsets = entry["data_offsets"];
  if (!shape.is_array() || shape.size() > kMaxRank)
    return errorf("{}: shape is expected to be an array of at most {} sizes", where, kMaxRank);
  for (const Json &size : shape) {
    LINNET_ASSIGN(uint64_t value, natural(size, where, "a size"));
    if (value > static_cast<uint64_t>(INT64_MAX)) return errorf("{}: size {} is too large", where, value);
    tensor.shape.push_back(static_cast<int64_t>(value));
  }
  if (!offsets.is_array() || offsets.size() != 2)
    return errorf("{}: data_offsets is expected to be [begin, end]", where);
  LINNET_ASSIGN(begin, natural(offsets[0], where, "data_offsets"));
  LINNET_ASSIGN(uint64_t end, natural(offsets[1], where, "data_offsets"));
  if (begin > end || end > data.size())
    return errorf("{}: data_offsets [{}, {}] lie outside the file's {} bytes of data", where, begin, end,
                  data.size());
  LINNET_ASSIGN(uint64_t elements, elementCount(tensor.shape, where));
  LINNET_ASSIGN(uint64_t bytes, storageBytes(tensor.type, elements, where));
  if (bytes != end - begin)
    return errorf("{}: {} of {} takes {} bytes, data_offsets span {}", where, shapeText(tensor.shape),
                  storageTypeName(tensor.type), bytes, end - begin);
  tensor.bytes = data.subspan(begin, bytes);
  return tensor;
}

} // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  auto bytes = file.bytes();
  return parse(std::move(file), bytes, path);
}

Result<SafetensorsFile> SafetensorsFile::parse(MappedFile file, std::span<const std::byte> bytes,
                                               const std::string &name) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", name, fault);
  uint64_t length = 0;
  if (bytes.size() < 8) return errorf("{}: {} bytes are too few for a safetensors file", name, bytes.size());
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader || length > bytes.size() - 8)
    return errorf("{}: the header claims {} bytes, the file has {} (truncated, or no safetensors file)", name,
                  length, bytes.size() - 8);
  std::string_view header = text.substr(8, length);
  LINNET_ASSIGN(Json json, parseJson(header, name + ": header", 8, kMaxTensors));
  if (!json.is_object()) return errorf("{}: the header is expected to be a JSON object", name);

  SafetensorsFile result;
  auto data = bytes.subspan(8 + length);
  std::vector<std::pair<uint64_t, TensorView>> found;
  for (auto &[key, entry] : json.items()) {
    if (key == "__metadata__") {
      if (!entry.is_object()) return errorf("{}: __metadata__ is expected to be an object", name);
      for (auto &[k, v] : entry.items()) {
        if (!v.is_string()) return errorf("{}: __metadata__ is expected to hold strings", name);
        result.strings[k] = v.get<std::string>();
      }
      continue;
    }
    uint64_t begin = 0;
    LINNET_ASSIGN(TensorView tensor, parseEntry(key, entry, data, name, begin));
    tensor.file = file;
    found.emplace_back(begin, std::move(tensor));
  }
  std::stable_sort(found.begin(), found.end(), [](auto &a, auto &b) {
    return std::pair(a.first, a.first + a.second.bytes.size()) <
           std::pair(b.first, b.first + b.second.bytes.size());
  });
  uint64_t end = 0;
  for (auto &[begin, tensor] : found) {
    if (begin != end)
      return errorf("{}: tensor \"{}\" starts at byte {} of the data where {} is expected (overlap or hole)",
                    name, tensor.name, begin, end);
    end = begin + tensor.bytes.size();
    result.index.emplace(tensor.name, result.list.size());
    result.list.push_back(std::move(tensor));
  }
  if (end != data.size()) return errorf("{}: {} bytes after the last tensor", name, data.size() - end);
  return result;
}

const TensorView *SafetensorsFile::find(std::string_view name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &list[found->second];
}

Result<void> writeSafetensors(const std::string &path, const std::vector<TensorToWrite> &tensors,
                              const std::map<std::string, std::string> &metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite &tensor : tensors) {
    std::string where = path + ": " + tensor.name;
    if (isQuantized(tensor.type))
      return errorf("{}: safetensors has no {}", where, storageTypeName(tensor.type));
    LINNET_ASSIGN(uint64_t elements, elementCount(tensor.shape, where));
    LINNET_ASSIGN(uint64_t bytes, storageBytes(tensor.type, elements, where));
    header[tensor.name] = {{"dtype", storageTypeName(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  uint64_t length = text.size();
  LINNET_TRY(file.write(std::as_bytes(std::span(&length, 1))));
  LINNET_TRY(file.write(text));
  uint64_t start = file.size();
  for (const TensorToWrite &tensor : tensors)
    LINNET_TRY(tensor.write([&](std::span<const std::byte> bytes) { return file.write(bytes); }));
  if (file.size() - start != offset)
    return errorf("{}: wrote {} bytes of tensors, the header says {}", path, file.size() - start, offset);
  return file.commit();
}

} // namespace linnet
