// A .gguf file: its structure, and then as a model with its tokenizer.
#include "frontend/checkpoint/gguf.h"
#include "frontend/checkpoint/gguf_model.h"
#include "tests/fuzz/checkpoint/use.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::Bytes bytes(data, size);
  auto file = linnet::GgufFile::parse({}, bytes.span(), "f");
  if (!file) return 0;
  for (linnet::TensorView tensor : file->tensors()) {
    fuzz::readAll(tensor);
    if (tensor.shape.size() != 2 || tensor.elements() > 100'000) continue;
    std::swap(tensor.shape[0], tensor.shape[1]);
    tensor.transposed = true;
    fuzz::readAll(tensor);
  }
  linnet::aboutGguf(*file);
  auto config = linnet::configFromGguf(*file, "f");
  auto parts = linnet::tokenizerFromGguf(*file, "f");
  if (!parts || !*parts) return 0;
  auto tokenizer = linnet::Tokenizer::fromParts(**parts);
  if (config && tokenizer) linnet::ggufMetadata(*config, *tokenizer, 0, "again");
  return 0;
}
