// Files: mapped for reading, written beside and renamed. Nothing here is ever written in place.
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

/// A read-only memory map of a whole file. Copies share the map. An empty file gives an empty span.
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

/// Writes a file beside its destination and renames it into place on commit(), after fsync. Destroyed
/// without commit (an error, a signal turned into an error), it leaves nothing behind.
class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&) noexcept;
  AtomicFile &operator=(AtomicFile &&) noexcept;
  ~AtomicFile();
  /// Appends, in whole pieces of 2 MiB and the rest on commit(); "no space left on device" and the like come
  /// back as the error of the call that writes the piece.
  Result<void> write(std::span<const std::byte> data);
  Result<void> write(std::string_view text);
  /// Writes at an absolute offset, without moving the append position.
  Result<void> writeAt(uint64_t offset, std::span<const std::byte> data);
  /// Bytes appended so far.
  uint64_t size() const;
  /// Whether `bytes` bytes at two offsets, both of what was appended, are the same.
  Result<bool> repeats(uint64_t first, uint64_t second, uint64_t bytes);
  /// What was appended so far, mapped.
  Result<MappedFile> view();
  /// Takes back what was appended from `size` on.
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

/// Removes the temporary file of every AtomicFile that is open. Async-signal-safe: for SIGINT/SIGTERM
/// handlers.
void removeUnfinishedFiles();

Result<std::string> readTextFile(const std::string &path);
Result<void> writeTextFile(const std::string &path, std::string_view text);
bool fileExists(const std::string &path);
bool isDirectory(const std::string &path);

} // namespace linnet
