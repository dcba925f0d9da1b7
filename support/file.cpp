#include "support/file.h"
#include "support/error.h"
#include "support/unfinished.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace linnet {
namespace {

Error systemError(const std::string &path, const char *what) {
  return errorf("{}: {}: {}", path, what, std::strerror(errno));
}

// Names of the open temporary files, in storage that a signal handler may read.
constexpr int kMaxOpenFiles = 64;
char unfinished[kMaxOpenFiles][PATH_MAX];
std::atomic<int> unfinished_state[kMaxOpenFiles]; // 0 free, 1 being filled, 2 valid

int registerUnfinished(const std::string &path) {
  if (path.size() >= PATH_MAX) return -1;
  for (int i = 0; i < kMaxOpenFiles; ++i) {
    int expected = 0;
    if (!unfinished_state[i].compare_exchange_strong(expected, 1)) continue;
    std::memcpy(unfinished[i], path.c_str(), path.size() + 1);
    unfinished_state[i].store(2);
    return i;
  }
  return -1;
}

std::string directoryOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string nameOf(const std::string &path) { return path.substr(path.rfind('/') + 1); }

} // namespace

struct MappedFile::Map {
  std::string path;
  void *data = nullptr;
  size_t size = 0;
  ~Map() {
    if (data) munmap(data, size);
  }
};

Result<MappedFile> MappedFile::open(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // O_NONBLOCK: a FIFO may have no writer
  if (fd < 0) return systemError(path, "cannot open");
  auto map = std::make_shared<Map>();
  map->path = path;
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    Error error = errorf("{}: expected a regular file", path);
    ::close(fd);
    return error;
  }
  map->size = static_cast<size_t>(st.st_size);
  if (map->size) {
    void *data = mmap(nullptr, map->size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      Error error = systemError(path, "cannot map");
      ::close(fd);
      return error;
    }
    map->data = data;
#ifdef MADV_HUGEPAGE
    madvise(data, map->size, MADV_HUGEPAGE); // only advice, for large pages
#endif
  }
  ::close(fd);
  MappedFile file;
  file.map = std::move(map);
  return file;
}

std::span<const std::byte> MappedFile::bytes() const {
  if (!map) return {};
  return {static_cast<const std::byte *>(map->data), map->size};
}

std::string_view MappedFile::text() const {
  auto b = bytes();
  return {reinterpret_cast<const char *>(b.data()), b.size()};
}

const std::string &MappedFile::path() const {
  static const std::string none;
  return map ? map->path : none;
}

struct AtomicFile::State {
  std::string path, temporary;
  int fd = -1, slot = -1;
  uint64_t size = 0; // includes pending bytes
  std::vector<std::byte> pending;
  ~State() {
    if (!temporary.empty()) ::unlink(temporary.c_str());
    if (fd >= 0) ::close(fd);
    if (slot >= 0) unfinished_state[slot].store(0);
  }
};

AtomicFile::AtomicFile(std::unique_ptr<State> s) : state(std::move(s)) {}
AtomicFile::AtomicFile(AtomicFile &&) noexcept = default;
AtomicFile &AtomicFile::operator=(AtomicFile &&) noexcept = default;
AtomicFile::~AtomicFile() = default;

Result<AtomicFile> AtomicFile::create(const std::string &path) {
  if (path.empty()) return Error{"cannot write a file without a name"};
  if (isDirectory(path)) return errorf("{}: cannot write: it is a directory", path);
  auto state = std::make_unique<State>();
  state->path = path;
  removeAbandoned(directoryOf(path), nameOf(path) + ".tmp-");
  // The name is registered before the file exists, so that an interrupt in between does not leave it behind.
  constexpr int kAttempts = 16;
  for (int attempt = 0; state->fd < 0 && attempt < kAttempts; ++attempt) {
    std::string name = temporaryName(path);
    state->slot = registerUnfinished(name);
    state->fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int error = errno;
    if (state->fd >= 0 && !lockTemporaryFile(state->fd, name)) { // another process removed it as abandoned
      ::close(std::exchange(state->fd, -1));
      error = EEXIST;
    }
    if (state->fd >= 0) state->temporary = name;
    if (state->fd < 0 && state->slot >= 0) unfinished_state[std::exchange(state->slot, -1)].store(0);
    errno = error;
    if (state->fd < 0 && error != EEXIST) break;
  }
  if (state->fd < 0) return systemError(path, "cannot create");
  return AtomicFile(std::move(state));
}

// Writes whole, aligned pieces of 2 MiB, so that file systems keep them in large pages and readers can map
// those.
Result<void> AtomicFile::write(std::span<const std::byte> data) {
  constexpr size_t kPieceBytes = size_t(2) << 20;
  while (!data.empty()) {
    size_t part = std::min<size_t>(data.size(), kPieceBytes - state->size % kPieceBytes);
    state->pending.insert(state->pending.end(), data.begin(), data.begin() + static_cast<ptrdiff_t>(part));
    state->size += part;
    data = data.subspan(part);
    if (state->size % kPieceBytes == 0) LINNET_TRY(flush());
  }
  return {};
}

Result<void> AtomicFile::flush() {
  std::span<const std::byte> data(state->pending);
  LINNET_TRY(put(state->size - data.size(), data));
  state->pending.clear();
  return {};
}

Result<void> AtomicFile::write(std::string_view text) {
  return write(std::as_bytes(std::span(text.data(), text.size())));
}

Result<void> AtomicFile::writeAt(uint64_t offset, std::span<const std::byte> data) {
  LINNET_TRY(flush());
  return put(offset, data);
}

Result<void> AtomicFile::put(uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    size_t chunk = std::min<size_t>(data.size(), size_t(1) << 30);
    ssize_t n = pwrite(state->fd, data.data(), chunk, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return systemError(state->path, "cannot write");
    offset += static_cast<uint64_t>(n);
    data = data.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<void> AtomicFile::get(uint64_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    ssize_t n = pread(state->fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return systemError(state->path, "cannot read back what was written");
    offset += static_cast<uint64_t>(n);
    data = data.subspan(static_cast<size_t>(n));
  }
  return {};
}

uint64_t AtomicFile::size() const { return state->size; }

Result<bool> AtomicFile::repeats(uint64_t first, uint64_t second, uint64_t bytes) {
  constexpr uint64_t kAtOnce = uint64_t(1) << 20;
  LINNET_TRY(flush());
  std::vector<std::byte> a(std::min(bytes, kAtOnce)), b(a.size());
  for (uint64_t done = 0; done < bytes; done += a.size()) {
    const auto part = static_cast<size_t>(std::min<uint64_t>(a.size(), bytes - done));
    LINNET_TRY(get(first + done, std::span(a).first(part)));
    LINNET_TRY(get(second + done, std::span(b).first(part)));
    if (std::memcmp(a.data(), b.data(), part) != 0) return false;
  }
  return true;
}

Result<MappedFile> AtomicFile::view() {
  LINNET_TRY(flush());
  return MappedFile::open(state->temporary);
}

Result<void> AtomicFile::truncate(uint64_t size) {
  LINNET_TRY(flush());
  if (ftruncate(state->fd, static_cast<off_t>(size)) != 0) return systemError(state->path, "cannot shorten");
  state->size = size;
  return {};
}

Result<void> AtomicFile::commit() {
  LINNET_TRY(flush());
  if (fsync(state->fd) != 0) return systemError(state->path, "cannot write");
  // A copy of the descriptor keeps the lock until the file has its name.
  int lock = fcntl(state->fd, F_DUPFD_CLOEXEC, 0), fd = std::exchange(state->fd, lock);
  if (::close(fd) != 0) return systemError(state->path, "cannot write");
  if (rename(state->temporary.c_str(), state->path.c_str()) != 0)
    return systemError(state->path, "cannot rename into place");
  state->temporary.clear();
  if (int dir = ::open(directoryOf(state->path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
    fsync(dir);
    ::close(dir);
  }
  state.reset();
  return {};
}

void removeUnfinishedFiles() {
  for (int i = 0; i < kMaxOpenFiles; ++i)
    if (unfinished_state[i].load() == 2) ::unlink(unfinished[i]);
}

Result<std::string> readTextFile(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  return std::string(file.text());
}

Result<void> writeTextFile(const std::string &path, std::string_view text) {
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  LINNET_TRY(file.write(text));
  return file.commit();
}

bool fileExists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

bool isDirectory(const std::string &path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

} // namespace linnet
