// Files of torch.save that hold a dictionary of tensors (pytorch_model.bin).
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "support/file.h"
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// Whether a file with these first bytes may be one: a ZIP archive, or a pickle of the format before torch
/// 1.6.
bool isPytorch(std::string_view bytes);

/// A mapped file with its decoded pickle (pickle.h). Every tensor is inside its storage, and every storage
/// inside the file. Weights are never copied.
class PytorchFile {
public:
  static Result<PytorchFile> open(const std::string &path);
  /// The same for bytes in memory, which must outlive the views. Errors begin with `name`.
  static Result<PytorchFile> parse(MappedFile file, std::span<const std::byte> bytes,
                                   const std::string &name);

  /// Tensors in the order of the dictionary. They share bytes if torch shares a storage.
  const std::vector<TensorView> &tensors() const { return list; }

private:
  std::vector<TensorView> list;
};

} // namespace linnet
