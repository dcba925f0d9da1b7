// A checkpoint directory: config.json, model.safetensors.index.json and one shard, each after its length
// (u16).
#include "frontend/checkpoint/checkpoint.h"
#include "support/file.h"
#include "tests/fuzz/checkpoint/use.h"

#include <cstdio>
#include <filesystem>

namespace {

std::string makeDirectory() {
  std::filesystem::path base =
      std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  std::string name = (base / "linnet-fuzz-XXXXXX").string();
  if (!mkdtemp(name.data())) abort();
  static std::string kept = name;
  std::atexit([] { std::filesystem::remove_all(kept); });
  return name;
}

void put(const std::string &path, std::string_view text) {
  FILE *file = std::fopen(path.c_str(), "wb"); // in place: AtomicFile's fsync would take most of the time
  if (!file || std::fwrite(text.data(), 1, text.size(), file) != text.size()) abort();
  std::fclose(file);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string directory = makeDirectory();
  std::string_view rest(reinterpret_cast<const char *>(data), size);
  auto piece = [&] {
    if (rest.size() < 2) return std::exchange(rest, {});
    size_t length = static_cast<uint8_t>(rest[0]) | static_cast<size_t>(static_cast<uint8_t>(rest[1])) << 8;
    rest.remove_prefix(2);
    std::string_view found = rest.substr(0, length);
    rest.remove_prefix(found.size());
    return found;
  };
  put(directory + "/config.json", piece());
  std::string_view index = piece();
  bool sharded = !index.empty();
  std::filesystem::remove(directory + "/model.safetensors");
  std::filesystem::remove(directory + "/model.safetensors.index.json");
  if (sharded) put(directory + "/model.safetensors.index.json", index);
  put(directory + (sharded ? "/a.safetensors" : "/model.safetensors"), rest);
  if (auto checkpoint = linnet::Checkpoint::open(directory)) {
    for (const linnet::TensorView &tensor : checkpoint->tensors()) fuzz::readAll(tensor);
    for (const linnet::TensorSpec &want : checkpoint->config().tensors())
      if (!checkpoint->find(want.name) || checkpoint->find(want.name)->shape != want.shape) abort();
  }
  return 0;
}
