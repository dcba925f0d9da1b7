// A .safetensors file.
#include "frontend/checkpoint/safetensors.h"
#include "tests/fuzz/checkpoint/use.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::Bytes bytes(data, size);
  if (auto file = linnet::SafetensorsFile::parse({}, bytes.span(), "f"))
    for (const linnet::TensorView &tensor : file->tensors()) {
      if (file->find(tensor.name) != &tensor) abort();
      fuzz::readAll(tensor);
    }
  return 0;
}
