// A checkpoint directory: config.json, model.safetensors.index.json and one shard, each after its length
// (u16).
#include "tests/fuzz/checkpoint/directory.h"
#include "frontend/checkpoint/checkpoint.h"
#include "tests/fuzz/checkpoint/use.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string directory = fuzz::makeDirectory();
  std::string_view rest(reinterpret_cast<const char *>(data), size);
  fuzz::put(directory + "/config.json", fuzz::takePiece(rest));
  std::string_view index = fuzz::takePiece(rest);
  bool sharded = !index.empty();
  std::filesystem::remove(directory + "/model.safetensors");
  std::filesystem::remove(directory + "/model.safetensors.index.json");
  if (sharded) fuzz::put(directory + "/model.safetensors.index.json", index);
  fuzz::put(directory + (sharded ? "/a.safetensors" : "/model.safetensors"), rest);
  if (auto checkpoint = linnet::Checkpoint::open(directory)) {
    for (const linnet::TensorView &tensor : checkpoint->tensors()) fuzz::readAll(tensor);
    for (const linnet::TensorSpec &want : checkpoint->config().tensors())
      if (!checkpoint->find(want.name) || checkpoint->find(want.name)->shape != want.shape) abort();
  }
  return 0;
}
