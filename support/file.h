// Files are mapped for reading, and written atomically: under a temporary name, then renamed.
#pragma once
#include "support/result.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// A read-only mapping of a whole file. Copies share the mapping. An empty file gives an empty span.
class MappedFile {
public:
  static Result<MappedFile> open(const std::string &path);
  std::span<const std::byte> bytes() const;
  std::string_view text() const;
  const std::string &path() const;

private:
  struct Map;
  std::shared_ptr<const Map> map;
};

/// Writes a temporary file next to its destination. commit() calls fsync and renames it. Without commit(),
/// the destructor removes it.
class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&) noexcept;
  AtomicFile &operator=(AtomicFile &&) noexcept;
  ~AtomicFile();
  /// Appends. Data are written in pieces of 2 MiB, and the rest on commit(). An error such as "no space left
  /// on device" is returned by the call that writes the piece.
  Result<void> write(std::span<const std::byte> data);
  Result<void> write(std::string_view text);
  /// Writes at an absolute offset, without moving the append position.
  Result<void> writeAt(uint64_t offset, std::span<const std::byte> data);
  /// Bytes appended so far.
  uint64_t size() const;
  /// Whether `bytes` bytes at the two offsets are equal. Both ranges must have been appended.
  Result<bool> repeats(uint64_t first, uint64_t second, uint64_t bytes);
  /// A mapping of the data appended so far.
  Result<MappedFile> view();
  /// Removes the appended data from offset `size` on.
  Result<void> truncate(uint64_t size);
  Result<void> commit();

private:
  struct State;
  explicit AtomicFile(std::unique_ptr<State>);
  Result<void> flush();
  Result<void> put(uint64_t offset, std::span<const std::byte> data);
  Result<void> get(uint64_t offset, std::span<std::byte> data);
  std::unique_ptr<State> state;
};

/// Removes the temporary files of all open AtomicFiles. Async-signal-safe, for SIGINT and SIGTERM handlers.
void removeUnfinishedFiles();

Result<std::string> readTextFile(const std::string &path);
Result<void> writeTextFile(const std::string &path, std::string_view text);
bool fileExists(const std::string &path);
bool isDirectory(const std::string &path);

} // namespace linnet
