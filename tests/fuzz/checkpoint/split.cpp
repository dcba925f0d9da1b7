// A GGUF model in two split files. The first one comes after its length (u16); either is opened.
#include "frontend/checkpoint/gguf.h"
#include "tests/fuzz/checkpoint/directory.h"
#include "tests/fuzz/checkpoint/use.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string directory = fuzz::makeDirectory();
  static const std::string paths[] = {directory + "/m-00001-of-00002.gguf",
                                      directory + "/m-00002-of-00002.gguf"};
  std::string_view rest(reinterpret_cast<const char *>(data), size);
  fuzz::put(paths[0], fuzz::takePiece(rest));
  fuzz::put(paths[1], rest);
  for (const std::string &path : paths) {
    auto file = linnet::GgufFile::open(path);
    if (!file) continue;
    if (file->paths().size() > 2) abort();
    for (const linnet::TensorView &tensor : file->tensors()) fuzz::readAll(tensor);
  }
  return 0;
}
