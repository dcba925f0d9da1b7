// A file of torch.save: its ZIP directory or old frame, its pickle, its tensors.
#include "frontend/checkpoint/pytorch.h"
#include "frontend/checkpoint/pickle.h"
#include "tests/fuzz/checkpoint/use.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::Bytes bytes(data, size);
  if (auto pickle = linnet::Pickle::read(bytes.span(), "f"); pickle && pickle->size() > size) abort();
  if (auto file = linnet::PytorchFile::parse({}, bytes.span(), "f"))
    for (const linnet::TensorView &tensor : file->tensors()) fuzz::readAll(tensor);
  return 0;
}
