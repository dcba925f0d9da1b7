// Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
#include "frontend/checkpoint/zip.h"
#include "support/error.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

namespace linnet {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr uint64_t kLongestComment = 0xffff;
constexpr uint64_t kMaxMembers = 1 << 16;
constexpr size_t kShownMember = 80;    // characters, in errors
constexpr uint32_t kIn64 = 0xffffffff; ///< the value is in a ZIP64 field
constexpr uint16_t kExtra64 = 1, kEncrypted = 1;

/// Reads little-endian numbers at offsets that the caller has checked with has().
class Bytes {
public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes(bytes) {}
  bool has(uint64_t at, uint64_t size) const { return at <= bytes.size() && size <= bytes.size() - at; }
  template <class T> T get(uint64_t at) const {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  std::string_view text(uint64_t at, uint64_t size) const {
    return {reinterpret_cast<const char *>(bytes.data()) + at, size};
  }
  std::span<const std::byte> part(uint64_t at, uint64_t size) const { return bytes.subspan(at, size); }
  uint64_t size() const { return bytes.size(); }

private:
  std::span<const std::byte> bytes;
};

struct Directory {
  uint64_t offset, size, members;
};

std::optional<uint64_t> findEnd(const Bytes &file) {
  if (file.size() < kEndBytes) return std::nullopt;
  const uint64_t last = file.size() - kEndBytes;
  const uint64_t first = last > kLongestComment ? last - kLongestComment : 0;
  for (uint64_t at = last + 1; at-- > first;)
    if (file.get<uint32_t>(at) == kEnd && file.get<uint16_t>(at + 20) == last - at) return at;
  return std::nullopt;
}

Result<Directory> findDirectory(const Bytes &file, const std::string &where) {
  auto end = findEnd(file);
  if (!end) return errorf("{}: a ZIP archive without its directory (truncated?)", where);
  Directory directory{file.get<uint32_t>(*end + 16), file.get<uint32_t>(*end + 12),
                      file.get<uint16_t>(*end + 10)};
  if (*end >= kLocatorBytes && file.get<uint32_t>(*end - kLocatorBytes) == kEnd64Locator) {
    auto at = file.get<uint64_t>(*end - kLocatorBytes + 8);
    if (!file.has(at, kEnd64Bytes) || file.get<uint32_t>(at) != kEnd64)
      return errorf("{}: the ZIP64 directory's end is not at byte {}", where, at);
    directory = {file.get<uint64_t>(at + 48), file.get<uint64_t>(at + 40), file.get<uint64_t>(at + 32)};
  }
  if (!file.has(directory.offset, directory.size))
    return errorf("{}: the ZIP directory [{}, +{}) lies outside the file's {} bytes", where, directory.offset,
                  directory.size, file.size());
  if (directory.members > kMaxMembers)
    return errorf("{}: {} members, at most {} are expected", where, directory.members, kMaxMembers);
  return directory;
}

struct Member {
  std::string name;
  uint64_t packed, size, offset;
  uint16_t flags, method;
};

/// Replaces numbers that do not fit in 32 bits by those of the ZIP64 field.
Result<void> readExtra64(const Bytes &file, uint64_t at, uint64_t size, Member &member,
                         const std::string &where) {
  uint64_t *wanted[] = {&member.size, &member.packed, &member.offset};
  if (std::none_of(std::begin(wanted), std::end(wanted), [](uint64_t *n) { return *n == kIn64; })) return {};
  for (uint64_t end = at + size; end - at >= 4;) {
    auto id = file.get<uint16_t>(at), length = file.get<uint16_t>(at + 2);
    at += 4;
    if (length > end - at) break;
    if (id != kExtra64) {
      at += length;
      continue;
    }
    const uint64_t field_end = at + length;
    for (uint64_t *number : wanted) {
      if (*number != kIn64) continue;
      if (field_end - at < 8)
        return errorf("{}: member \"{}\": its ZIP64 field is too short", where,
                      member.name.substr(0, kShownMember));
      *number = file.get<uint64_t>(at);
      at += 8;
    }
    return {};
  }
  return errorf("{}: member \"{}\" has no ZIP64 field", where, member.name.substr(0, kShownMember));
}

/// The member's bytes, which follow its local header.
Result<std::span<const std::byte>> contents(const Bytes &file, const Member &member,
                                            const std::string &where) {
  auto outside = [&] {
    return errorf("{}: member \"{}\" lies outside the file's {} bytes", where,
                  member.name.substr(0, kShownMember), file.size());
  };
  if (member.flags & kEncrypted)
    return errorf("{}: member \"{}\" is encrypted", where, member.name.substr(0, kShownMember));
  if (member.method != 0 || member.packed != member.size)
    return errorf("{}: member \"{}\" is compressed; torch.save stores members as they are", where,
                  member.name.substr(0, kShownMember));
  if (!file.has(member.offset, kLocalBytes)) return outside();
  const uint64_t name = file.get<uint16_t>(member.offset + 26),
                 extra = file.get<uint16_t>(member.offset + 28);
  if (!file.has(member.offset, kLocalBytes + name + extra)) return outside();
  if (file.get<uint32_t>(member.offset) != kLocalHeader ||
      file.text(member.offset + kLocalBytes, name) != member.name)
    return errorf("{}: member \"{}\" has another header at byte {}", where,
                  member.name.substr(0, kShownMember), member.offset);
  const uint64_t data = member.offset + kLocalBytes + name + extra;
  if (!file.has(data, member.size)) return outside();
  return file.part(data, member.size);
}

} // namespace

bool isZip(std::string_view bytes) { return bytes.starts_with("PK\x03\x04"); }

Result<ZipMembers> readZip(std::span<const std::byte> archive, const std::string &where) {
  const Bytes file(archive);
  LINNET_ASSIGN(Directory directory, findDirectory(file, where));
  ZipMembers members;
  uint64_t at = directory.offset;
  const uint64_t end = directory.offset + directory.size;
  for (uint64_t i = 0; i < directory.members; ++i) {
    Error damaged = errorf("{}: member {} of the ZIP directory is damaged", where, i);
    if (end - at < kCentralBytes || file.get<uint32_t>(at) != kCentralHeader) return damaged;
    const uint64_t name = file.get<uint16_t>(at + 28), extra = file.get<uint16_t>(at + 30),
                   comment = file.get<uint16_t>(at + 32);
    if (end - at - kCentralBytes < name + extra + comment) return damaged;
    Member member{std::string(file.text(at + kCentralBytes, name)),
                  file.get<uint32_t>(at + 20),
                  file.get<uint32_t>(at + 24),
                  file.get<uint32_t>(at + 42),
                  file.get<uint16_t>(at + 8),
                  file.get<uint16_t>(at + 10)};
    LINNET_TRY(readExtra64(file, at + kCentralBytes + name, extra, member, where));
    LINNET_ASSIGN(std::span<const std::byte> bytes, contents(file, member, where));
    if (!members.emplace(member.name, bytes).second)
      return errorf("{}: member \"{}\" is there twice", where, member.name.substr(0, kShownMember));
    at += kCentralBytes + name + extra + comment;
  }
  return members;
}

} // namespace linnet
