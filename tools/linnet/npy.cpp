#include "npy.h"
#include "support/error.h"

#include <charconv>
#include <cstring>
#include <optional>

namespace linnet::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// The text of a key's value in the header's Python dictionary; nothing if the key is missing.
std::optional<std::string_view> field(std::string_view header, std::string_view key) {
  size_t at = header.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos) return {};
  at = header.find(':', at);
  if (at == std::string_view::npos) return {};
  std::string_view rest = header.substr(at + 1);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  return rest;
}

std::optional<std::vector<int64_t>> parseShape(std::string_view text) {
  if (text.empty() || text.front() != '(') return {};
  size_t close = text.find(')');
  if (close == std::string_view::npos) return {};
  text = text.substr(1, close - 1);
  std::vector<int64_t> shape;
  while (!text.empty()) {
    while (!text.empty() && (text.front() == ' ' || text.front() == ',')) text.remove_prefix(1);
    if (text.empty()) break;
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value < 0 || shape.size() >= 32) return {};
    shape.push_back(value);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return shape;
}

/// Bytes of the whole array, or nothing if the product overflows.
std::optional<uint64_t> byteCount(const std::vector<int64_t> &shape, uint64_t element) {
  uint64_t total = element;
  for (int64_t d : shape)
    if (__builtin_mul_overflow(total, static_cast<uint64_t>(d), &total)) return {};
  return total;
}

} // namespace

Result<NpyArray> readNpy(const std::string &path) {
  NpyArray array;
  LINNET_ASSIGN(array.file, MappedFile::open(path));
  std::string_view text = array.file.text();
  if (text.substr(0, kMagic.size()) != kMagic || text.size() < 12) return errorf("{}: not a .npy file", path);
  int major = static_cast<unsigned char>(text[6]);
  size_t prefix = major == 1 ? 10 : 12, header_bytes = 0;
  if (major < 1 || major > 3) return errorf("{}: expected .npy version 1 to 3, found {}", path, major);
  std::memcpy(&header_bytes, text.data() + 8, prefix - 8);
  if (header_bytes > text.size() - prefix)
    return errorf("{}: truncated: the header has {} bytes, the file {}", path, header_bytes, text.size());
  std::string_view header = text.substr(prefix, header_bytes);
  auto descr = field(header, "descr"), order = field(header, "fortran_order"), shape = field(header, "shape");
  auto dims = shape ? parseShape(*shape) : std::nullopt;
  if (!descr || !order || !dims || descr->size() < 5 || (*descr)[0] != '\'')
    return errorf("{}: the header is not a plain array's (descr, fortran_order, shape)", path);
  if (order->substr(0, 5) != "False") return errorf("{}: expected C order, found Fortran order", path);
  array.type = std::string(descr->substr(1, descr->find('\'', 1) - 1));
  array.shape = *dims;
  if (array.type == "|i1" || array.type == "|u1") array.type[0] = '<';
  if (array.type.size() != 3 || array.type[0] != '<' || array.type[2] < '1' || array.type[2] > '8')
    return errorf("{}: expected a little-endian number type like <f4, found {}", path,
                  array.type.substr(0, 32));
  array.data = array.file.bytes().subspan(prefix + header_bytes);
  auto expected = byteCount(array.shape, static_cast<uint64_t>(array.type[2] - '0'));
  if (!expected || *expected != array.data.size())
    return errorf("{}: the header says {} bytes of data, the file has {}", path,
                  expected ? std::to_string(*expected) : "more than 2^64", array.data.size());
  return array;
}

Result<NpyWriter> NpyWriter::create(const std::string &path, const std::string &type,
                                    const std::vector<int64_t> &shape) {
  std::string dims;
  for (int64_t d : shape) dims += fmt::format("{}, ", d);
  if (shape.size() > 1) dims.resize(dims.size() - 2); // Python's tuples: (3, 4), but (3,)
  if (shape.size() == 1) dims.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, dims);
  header += std::string(63 - (10 + header.size()) % 64, ' ') + '\n'; // aligns the data to 64
  std::string start(kMagic);
  start += {1, 0, static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  LINNET_TRY(file.write(start + header));
  return NpyWriter(std::move(file));
}

Result<void> writeNpy(const std::string &path, std::span<const float> data,
                      const std::vector<int64_t> &shape) {
  LINNET_ASSIGN(NpyWriter writer, NpyWriter::create(path, "<f4", shape));
  LINNET_TRY(writer.write(std::as_bytes(data)));
  return writer.commit();
}

} // namespace linnet::cli
