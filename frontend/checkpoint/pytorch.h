// Files of torch.save that hold a dictionary of tensors (pytorch_model.bin).
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "support/file.h"
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// Whether a file of these first bytes may be one: a ZIP archive, or a pickle of the format before torch 1.6.
bool isPytorch(std::string_view bytes);

/// A mapped file whose pickle has been read (pickle.h) and whose tensors have been checked: each lies in its
/// storage, each storage in the file. Weights are never copied.
class PytorchFile {
public:
  static Result<PytorchFile> open(const std::string &path);
  /// The same for bytes in memory (`name` stands in errors); the views keep no map alive.
  static Result<PytorchFile> parse(MappedFile file, std::span<const std::byte> bytes,
                                   const std::string &name);

  /// In the order of the dictionary. Tensors share bytes where torch shares a storage.
  const std::vector<TensorView> &tensors() const { return list; }

private:
  std::vector<TensorView> list;
};

} // namespace linnet
