// gguf_floats FILE.gguf: prints all tensors, each as its name, a zero byte, its number of elements (u64, little
// endian) and its elements as f32. compare_gguf.py drives it.
#include "frontend/checkpoint/gguf.h"

#include <algorithm>
#include <iostream>
#include <vector>

using namespace linnet;

int main(int argc, char **argv) {
  if (argc != 2) return std::cerr << "usage: gguf_floats FILE.gguf\n", 2;
  auto file = GgufFile::open(argv[1]);
  if (!file) return std::cerr << file.error().message << '\n', 1;
  std::ios::sync_with_stdio(false);
  constexpr uint64_t kPiece = 1 << 20; // elements
  std::vector<float> values;
  for (const TensorView &tensor : file->tensors()) {
    const uint64_t count = tensor.elements();
    std::cout.write(tensor.name.c_str(), static_cast<std::streamsize>(tensor.name.size() + 1));
    std::cout.write(reinterpret_cast<const char *>(&count), sizeof count);
    for (uint64_t first = 0; first < count; first += values.size()) {
      values.resize(std::min(kPiece, count - first));
      if (auto read = readF32(tensor, first, values); !read)
        return std::cerr << read.error().message << '\n', 1;
      std::cout.write(reinterpret_cast<const char *>(values.data()),
                      static_cast<std::streamsize>(values.size() * sizeof(float)));
    }
  }
  return std::cout.flush() ? 0 : 1;
}
