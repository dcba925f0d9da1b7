#include "frontend/checkpoint/gguf.h"
#include "frontend/checkpoint/ggml_types.h"
#include "support/content_fault.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace linnet {
namespace {

constexpr uint32_t kMagic = 0x46554747; // "GGUF"
constexpr uint64_t kMaxCount = 1 << 24; // tensors, keys and array elements
constexpr uint64_t kMaxString = 1 << 26;

enum ValueType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// Reads untrusted bytes sequentially. After the first failure every read returns zeros.
class Cursor {
public:
  Cursor(std::span<const std::byte> bytes, const std::string &name) : bytes(bytes), name(name) {}

  template <class T> T get(const char *what) {
    T value{};
    auto data = take(sizeof(T), what);
    if (!data.empty()) std::memcpy(&value, data.data(), sizeof(T));
    return value;
  }
  std::string text(const char *what) {
    auto length = get<uint64_t>(what);
    if (length > kMaxString) {
      fail(fmt::format("{} of {} bytes", what, length));
      return {};
    }
    auto data = take(length, what);
    return {reinterpret_cast<const char *>(data.data()), data.size()};
  }
  void fail(std::string why) {
    if (!failure) failure = errorf("{}: {}", name, why);
  }
  uint64_t remaining() const { return bytes.size() - position; }
  uint64_t offset() const { return position; }
  bool failed() const { return failure.has_value(); }
  const Error &error() const { return *failure; }

private:
  std::span<const std::byte> take(uint64_t n, const char *what) {
    if (failed()) return {};
    if (n > remaining()) {
      fail(fmt::format("truncated in {}: {} bytes wanted, {} left", what, n, remaining()));
      return {};
    }
    auto data = bytes.subspan(position, n);
    position += n;
    return data;
  }
  std::span<const std::byte> bytes;
  const std::string &name;
  uint64_t position = 0;
  std::optional<Error> failure;
};

GgufValue scalar(Cursor &in, uint32_t type) {
  switch (type) {
  case u8:
    return uint64_t(in.get<uint8_t>("metadata"));
  case u16:
    return uint64_t(in.get<uint16_t>("metadata"));
  case u32:
    return uint64_t(in.get<uint32_t>("metadata"));
  case u64:
    return in.get<uint64_t>("metadata");
  case i8:
    return int64_t(in.get<int8_t>("metadata"));
  case i16:
    return int64_t(in.get<int16_t>("metadata"));
  case i32:
    return int64_t(in.get<int32_t>("metadata"));
  case i64:
    return in.get<int64_t>("metadata");
  case f32:
    return double(in.get<float>("metadata"));
  case f64:
    return in.get<double>("metadata");
  case boolean:
    return in.get<uint8_t>("metadata") != 0;
  case string:
    return in.text("metadata");
  default:
    in.fail(fmt::format("metadata: unknown value type {}", type));
    return uint64_t(0);
  }
}

template <class T> GgufValue arrayOf(Cursor &in, uint32_t type, uint64_t count) {
  std::vector<T> values;
  for (uint64_t i = 0; i < count && !in.failed(); ++i) values.push_back(std::get<T>(scalar(in, type)));
  return values;
}

/// Arrays of arrays are errors, so nesting is bounded. The format has them, but no GPT-2 file does.
GgufValue value(Cursor &in, uint32_t type) {
  if (type != array) return scalar(in, type);
  auto element = in.get<uint32_t>("array type");
  auto count = in.get<uint64_t>("array length");
  if (count > kMaxCount || count > in.remaining()) {
    in.fail(fmt::format("array of {} elements", count));
    return uint64_t(0);
  }
  switch (element) {
  case u8:
  case u16:
  case u32:
  case u64:
    return arrayOf<uint64_t>(in, element, count);
  case i8:
  case i16:
  case i32:
  case i64:
    return arrayOf<int64_t>(in, element, count);
  case f32:
  case f64:
    return arrayOf<double>(in, element, count);
  case boolean:
    return arrayOf<bool>(in, element, count);
  case string:
    return arrayOf<std::string>(in, element, count);
  default:
    in.fail(fmt::format("array of unknown or nested element type {}", element));
    return uint64_t(0);
  }
}

/// Checks that names are unique and that no two tensors share bytes.
Result<void> checkDisjoint(const std::vector<TensorView> &tensors, const std::string &name) {
  std::set<std::string_view> names;
  std::vector<const TensorView *> ordered;
  for (const TensorView &tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return errorf("{}: tensor \"{}\" appears twice", name, tensor.name.substr(0, 80));
    if (!tensor.bytes.empty()) ordered.push_back(&tensor);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](auto *a, auto *b) { return a->bytes.data() < b->bytes.data(); });
  for (size_t i = 1; i < ordered.size(); ++i)
    if (ordered[i - 1]->bytes.data() + ordered[i - 1]->bytes.size() > ordered[i]->bytes.data())
      return errorf("{}: tensors \"{}\" and \"{}\" overlap", name, ordered[i - 1]->name.substr(0, 80),
                    ordered[i]->name.substr(0, 80));
  return {};
}

} // namespace

Result<GgufFile> GgufFile::parse(MappedFile file, std::span<const std::byte> bytes, const std::string &name) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", name, fault);
  Cursor in(bytes, name);
  GgufFile result;
  result.name = name;
  if (in.get<uint32_t>("magic") != kMagic) return errorf("{}: not a GGUF file", name);
  auto version = in.get<uint32_t>("version");
  if (version != 2 && version != 3) return errorf("{}: GGUF version {}, expected 2 or 3", name, version);
  auto n_tensors = in.get<uint64_t>("tensor count"), n_keys = in.get<uint64_t>("metadata count");
  if (n_tensors > kMaxCount || n_keys > kMaxCount)
    return errorf("{}: {} tensors and {} metadata keys are not credible", name, n_tensors, n_keys);
  for (uint64_t i = 0; i < n_keys && !in.failed(); ++i) {
    std::string key = in.text("metadata key");
    auto type = in.get<uint32_t>("metadata type");
    GgufValue read = value(in, type);
    if (!in.failed() && !result.values.emplace(key, std::move(read)).second)
      return errorf("{}: metadata key \"{}\" appears twice", name, key.substr(0, 80));
  }
  uint64_t alignment = 32;
  if (!in.failed() && result.has("general.alignment")) {
    LINNET_ASSIGN(int64_t said, result.integer("general.alignment"));
    if (said < 8 || said > 1 << 20 || (said & (said - 1)))
      return errorf("{}: alignment {} is not a power of two of at least 8", name, said);
    alignment = static_cast<uint64_t>(said);
  }
  std::vector<uint64_t> offsets;
  for (uint64_t i = 0; i < n_tensors && !in.failed(); ++i) {
    TensorView tensor;
    tensor.name = in.text("tensor name");
    auto rank = in.get<uint32_t>("tensor rank");
    if (rank > 4)
      return errorf("{}: tensor \"{}\" has {} dimensions, expected at most 4", name,
                    tensor.name.substr(0, 80), rank);
    for (uint32_t d = 0; d < rank; ++d) {
      auto size = in.get<uint64_t>("tensor shape");
      if (size > static_cast<uint64_t>(INT64_MAX))
        return errorf("{}: tensor \"{}\": size {} is too large", name, tensor.name, size);
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    auto code = in.get<uint32_t>("tensor type");
    offsets.push_back(in.get<uint64_t>("tensor offset"));
    if (in.failed()) break;
    auto type = storageTypeOf(code);
    if (!type)
      return errorf("{}: tensor \"{}\" has GGML type {}; supported are {}", name, tensor.name.substr(0, 80),
                    ggmlTypeName(code), readableGgmlTypes());
    tensor.type = *type;
    tensor.file = file;
    result.list.push_back(std::move(tensor));
  }
  if (in.failed()) return in.error();
  uint64_t start = (in.offset() + alignment - 1) / alignment * alignment;
  for (size_t i = 0; i < result.list.size(); ++i) {
    TensorView &tensor = result.list[i];
    std::string where = name + ": tensor \"" + tensor.name.substr(0, 80) + "\"";
    LINNET_ASSIGN(uint64_t elements, elementCount(tensor.shape, where));
    if (!tensor.shape.empty() && elements) // blocks do not cross rows
      LINNET_TRY(storageBytes(tensor.type, static_cast<uint64_t>(tensor.shape.back()), where));
    LINNET_ASSIGN(uint64_t size, storageBytes(tensor.type, elements, where));
    if (offsets[i] % alignment)
      return errorf("{}: offset {} is not a multiple of {}", where, offsets[i], alignment);
    if (start > bytes.size() || offsets[i] > bytes.size() - start || size > bytes.size() - start - offsets[i])
      return errorf("{}: {} bytes at {} lie outside the file's {} (truncated?)", where, size, offsets[i],
                    bytes.size());
    tensor.bytes = bytes.subspan(start + offsets[i], size);
  }
  LINNET_TRY(checkDisjoint(result.list, name));
  return result;
}

Result<std::string> GgufFile::text(std::string_view key) const {
  auto found = values.find(key);
  if (found == values.end()) return errorf("{}: metadata \"{}\" is missing", name, key);
  if (auto *text = std::get_if<std::string>(&found->second)) return *text;
  return errorf("{}: metadata \"{}\" is expected to be a string", name, key);
}
Result<int64_t> GgufFile::integer(std::string_view key) const {
  auto found = values.find(key);
  if (found == values.end()) return errorf("{}: metadata \"{}\" is missing", name, key);
  if (auto *number = std::get_if<int64_t>(&found->second)) return *number;
  if (auto *number = std::get_if<uint64_t>(&found->second);
      number && *number <= static_cast<uint64_t>(INT64_MAX))
    return static_cast<int64_t>(*number);
  return errorf("{}: metadata \"{}\" is expected to be a whole number", name, key);
}
Result<double> GgufFile::number(std::string_view key) const {
  auto found = values.find(key);
  if (found == values.end()) return errorf("{}: metadata \"{}\" is missing", name, key);
  if (auto *number = std::get_if<double>(&found->second)) return *number;
  return errorf("{}: metadata \"{}\" is expected to be a number", name, key);
}
Result<bool> GgufFile::flag(std::string_view key, bool fallback) const {
  auto found = values.find(key);
  if (found == values.end()) return bool(fallback);
  if (auto *flag = std::get_if<bool>(&found->second)) return bool(*flag);
  return errorf("{}: metadata \"{}\" is expected to be true or false", name, key);
}
const std::vector<std::string> *GgufFile::texts(std::string_view key) const {
  auto found = values.find(key);
  return found == values.end() ? nullptr : std::get_if<std::vector<std::string>>(&found->second);
}
std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  auto found = values.find(key);
  if (found == values.end()) return {};
  if (auto *list = std::get_if<std::vector<int64_t>>(&found->second)) return *list;
  std::vector<int64_t> result;
  if (auto *list = std::get_if<std::vector<uint64_t>>(&found->second))
    for (uint64_t v : *list) result.push_back(static_cast<int64_t>(v));
  return result;
}

//===- writing -----------------------------------------------------------------------------------------===//

namespace {

template <class T> void put(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof value);
}
void put(std::string &out, const std::string &text) {
  put<uint64_t>(out, text.size());
  out += text;
}
template <class T, class Stored> void putArray(std::string &out, uint32_t type, const std::vector<T> &list) {
  put<uint32_t>(out, array);
  put<uint32_t>(out, type);
  put<uint64_t>(out, list.size());
  for (const T &item : list) put<Stored>(out, static_cast<Stored>(item));
}

void putValue(std::string &out, const GgufValue &value) {
  auto putInteger = [&](int64_t number) {
    if (number >= 0 && number <= UINT32_MAX)
      put<uint32_t>(out, u32), put<uint32_t>(out, static_cast<uint32_t>(number));
    else
      put<uint32_t>(out, i64), put<int64_t>(out, number);
  };
  if (auto *v = std::get_if<int64_t>(&value))
    putInteger(*v);
  else if (auto *v = std::get_if<uint64_t>(&value))
    putInteger(static_cast<int64_t>(*v));
  else if (auto *v = std::get_if<double>(&value))
    put<uint32_t>(out, f32), put<float>(out, static_cast<float>(*v));
  else if (auto *v = std::get_if<bool>(&value))
    put<uint32_t>(out, boolean), put<uint8_t>(out, *v);
  else if (auto *v = std::get_if<std::string>(&value))
    put<uint32_t>(out, string), put(out, *v);
  else if (auto *v = std::get_if<std::vector<int64_t>>(&value))
    putArray<int64_t, int32_t>(out, i32, *v);
  else if (auto *v = std::get_if<std::vector<uint64_t>>(&value))
    putArray<uint64_t, int32_t>(out, i32, *v);
  else if (auto *v = std::get_if<std::vector<double>>(&value))
    putArray<double, float>(out, f32, *v);
  else if (auto *v = std::get_if<std::vector<bool>>(&value)) {
    put<uint32_t>(out, array), put<uint32_t>(out, boolean), put<uint64_t>(out, v->size());
    for (bool b : *v) put<uint8_t>(out, b);
  } else if (auto *v = std::get_if<std::vector<std::string>>(&value)) {
    put<uint32_t>(out, array), put<uint32_t>(out, string), put<uint64_t>(out, v->size());
    for (const std::string &text : *v) put(out, text);
  }
}

} // namespace

Result<void> writeGguf(const std::string &path, const GgufMetadata &metadata,
                       const std::vector<TensorToWrite> &tensors) {
  constexpr uint64_t kAlignment = 32;
  auto aligned = [](uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; };
  std::string header;
  put<uint32_t>(header, kMagic);
  put<uint32_t>(header, 3);
  put<uint64_t>(header, tensors.size());
  put<uint64_t>(header, metadata.size());
  for (auto &[key, value] : metadata) {
    put(header, key);
    putValue(header, value);
  }
  uint64_t offset = 0;
  std::vector<uint64_t> sizes;
  for (const TensorToWrite &tensor : tensors) {
    LINNET_ASSIGN(uint64_t elements, elementCount(tensor.shape, tensor.name));
    LINNET_ASSIGN(uint64_t bytes, storageBytes(tensor.type, elements, tensor.name));
    put(header, tensor.name);
    put<uint32_t>(header, static_cast<uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      put<uint64_t>(header, static_cast<uint64_t>(*size));
    put<uint32_t>(header, ggmlTypeOf(tensor.type));
    put<uint64_t>(header, offset);
    sizes.push_back(bytes);
    offset = aligned(offset + bytes);
  }
  header.resize(aligned(header.size()), '\0');
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  LINNET_TRY(file.write(header));
  for (size_t i = 0; i < tensors.size(); ++i) {
    uint64_t start = file.size();
    LINNET_TRY(tensors[i].write([&](std::span<const std::byte> bytes) { return file.write(bytes); }));
    if (file.size() - start != sizes[i])
      return errorf("{}: {}: wrote {} bytes, expected {}", path, tensors[i].name, file.size() - start,
                    sizes[i]);
    LINNET_TRY(file.write(std::string(aligned(file.size()) - file.size(), '\0')));
  }
  return file.commit();
}

} // namespace linnet
