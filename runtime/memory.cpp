#include "runtime/memory.h"
#include "support/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace linnet {
namespace {

constexpr uint64_t kLargePage = uint64_t(2) << 20; // x86-64's, and arm64's with pages of 4 KiB
constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

uint64_t pageBytes() {
  static const uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

uint64_t readNumber(const std::string &path) {
  std::ifstream file(path);
  uint64_t number = 0;
  return file >> number ? number : kUnlimited; // "max" means unlimited
}

uint64_t freeOnMachine() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t kib = 0, sum = 0;
  while (file >> key >> kib && std::getline(file, unit))
    if (key == "MemAvailable:" || key == "SwapFree:") sum += kib * 1024;
  return sum ? sum : kUnlimited;
}

uint64_t difference(uint64_t limit, uint64_t used) {
  if (limit == kUnlimited || used == kUnlimited) return kUnlimited;
  return limit > used ? limit - used : 0;
}

// The group's file cache: memory.current includes it, but it can be reclaimed.
uint64_t reclaimable(const std::string &group) {
  std::ifstream file(group + "/memory.stat");
  std::string key;
  uint64_t value = 0, sum = 0;
  while (file >> key >> value)
    if (key == "active_file" || key == "inactive_file") sum += value;
  return sum;
}

// The least free memory of the process's control group and its parents (version 2).
uint64_t freeInControlGroups() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  uint64_t least = kUnlimited;
  while (std::getline(file, line)) {
    if (!line.starts_with("0::/")) continue;
    std::string group = "/sys/fs/cgroup" + line.substr(3);
    while (group.size() > std::strlen("/sys/fs/cgroup")) {
      uint64_t limit = readNumber(group + "/memory.max");
      if (limit != kUnlimited) {
        uint64_t used = readNumber(group + "/memory.current");
        if (used != kUnlimited) used -= std::min(used, reclaimable(group));
        least = std::min(least, difference(limit, used));
      }
      group.resize(group.rfind('/'));
    }
  }
  return least;
}

uint64_t freeUnderLimits() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0, resident = 0, shared = 0, text = 0, lib = 0, data = 0;
  file >> total >> resident >> shared >> text >> lib >> data;
  rlimit limit;
  uint64_t least = kUnlimited;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    least = difference(limit.rlim_cur, total * pageBytes());
  if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    least = std::min(least, difference(limit.rlim_cur, data * pageBytes()));
  return least;
}

} // namespace

Result<Reservation> Reservation::allocate(uint64_t bytes, const char *what, Pages pages) {
  Reservation memory;
  if (bytes == 0) return memory;
  uint64_t page = pageBytes();
  if (bytes > kUnlimited / 4) return errorf("cannot reserve {} bytes for {}", bytes, what);
  // Large pages reduce the time for address translation.
  uint64_t piece = pages == Pages::Small || bytes < kLargePage ? page : kLargePage;
  uint64_t usable = (bytes + piece - 1) / piece * piece, spare = piece - page;
  void *all =
      mmap(nullptr, usable + page + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED)
    return errorf("cannot reserve {} bytes for {}: {}; {} bytes are available", bytes, what,
                  std::strerror(errno), availableMemory());
  auto address = reinterpret_cast<uintptr_t>(all), aligned = (address + spare) / piece * piece;
  auto *start = reinterpret_cast<std::byte *>(aligned);
  if (aligned > address) munmap(all, aligned - address);
  if (uint64_t excess = spare - (aligned - address)) munmap(start + usable + page, excess);
#ifdef MADV_HUGEPAGE
  if (piece == kLargePage) madvise(start, usable, MADV_HUGEPAGE); // only advice: a failure costs speed
#endif
  mprotect(start + usable, page, PROT_NONE);
  memory.start = start;
  memory.bytes = bytes;
  memory.mapped = usable + page;
  return memory;
}

Reservation::Reservation(Reservation &&other) noexcept { *this = std::move(other); }
Reservation &Reservation::operator=(Reservation &&other) noexcept {
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  std::swap(mapped, other.mapped);
  return *this;
}
Reservation::~Reservation() {
  if (start) munmap(start, mapped);
}

void Reservation::zero() {
  // Dropping private anonymous pages makes them read as zero again.
  if (start && madvise(start, mapped - pageBytes(), MADV_DONTNEED) != 0) std::memset(start, 0, bytes);
}

uint64_t availableMemory() { return std::min({freeOnMachine(), freeInControlGroups(), freeUnderLimits()}); }

Result<void> requireMemory(uint64_t bytes, const std::string &parts) {
  uint64_t available = availableMemory();
  if (bytes <= available) return {};
  return errorf("not enough memory: {} bytes needed ({}), {} available", bytes, parts, available);
}

} // namespace linnet
