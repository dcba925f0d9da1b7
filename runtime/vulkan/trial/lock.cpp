#include "runtime/vulkan/trial/lock.h"
#include "runtime/vulkan/device/device_file.h"
#include "support/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace linnet::vulkan {
namespace {

constexpr size_t kMaxBytes = 1 << 16;

// The file's text: a header line, a line "HASH NAME" per variant, and "end". Without "end" it was not written
// completely.
std::string textOf(const TrialMark &mark) {
  std::string text = mark.alone ? "alone\n" : "together\n";
  for (const Variant &variant : mark.variants)
    text += fmt::format("{:016x} {}\n", variant.hash, variant.shader);
  return text + "end\n";
}

TrialMark markOf(const std::string &text) {
  std::istringstream lines(text);
  std::string line;
  TrialMark mark;
  if (!std::getline(lines, line) || (line != "alone" && line != "together")) return {};
  mark.alone = line == "alone";
  while (std::getline(lines, line) && line != "end") {
    char *end = nullptr;
    Variant variant{std::strtoull(line.c_str(), &end, 16), ""};
    if (end != line.c_str() + 16 || *end != ' ') return {};
    variant.shader = end + 1;
    mark.variants.push_back(std::move(variant));
  }
  return line == "end" ? mark : TrialMark();
}

TrialMark readMark(int file) {
  std::string text(kMaxBytes, '\0');
  ssize_t size = pread(file, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return markOf(text);
}

} // namespace

Result<std::optional<TrialLock>> TrialLock::take(const Inventory &inventory,
                                                 std::chrono::milliseconds patience) {
  const std::string path = DeviceFile::path(inventory, "trying");
  if (path.empty()) return Error{"there is no cache folder"};
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (file < 0) return errorf("{}: {}", path, std::strerror(errno));
  TrialLock lock(file);
  struct stat status;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
    return errorf("{}: expected a regular file", path);
  constexpr std::chrono::milliseconds kStep(20);
  for (std::chrono::milliseconds waited(0); flock(file, LOCK_EX | LOCK_NB) != 0; waited += kStep) {
    if (errno != EWOULDBLOCK && errno != EINTR) return errorf("{}: {}", path, std::strerror(errno));
    if (waited >= patience) return std::optional<TrialLock>();
    std::this_thread::sleep_for(kStep);
  }
  lock.left = readMark(file);
  return std::optional<TrialLock>(std::move(lock));
}

TrialLock::~TrialLock() {
  if (file >= 0) close(file);
}

Result<void> TrialLock::mark(const TrialMark &mark) {
  const std::string text = textOf(mark);
  if (text.size() > kMaxBytes) return errorf("{} variants are too many to note", mark.variants.size());
  if (ftruncate(file, 0) != 0 || pwrite(file, text.data(), text.size(), 0) != ssize_t(text.size()) ||
      fdatasync(file) != 0)
    return errorf("cannot note what is tried: {}", std::strerror(errno));
  return {};
}

// If this does not reach the disk, the variants are tried once more.
void TrialLock::clear() { (void)!ftruncate(file, 0); }

} // namespace linnet::vulkan
