// Reads the part of Python's pickle format that torch.save needs for tensors. A pickle is a program that may
// call any function by name. This reader knows a fixed list of names, builds plain values and calls nothing.
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// A tensor in torch's form: a view of a storage, with sizes and strides in elements.
struct PickledTensor {
  std::string_view storage; ///< the storage's key
  uint64_t storage_elements = 0;
  StorageType type = StorageType::f32;
  uint64_t offset = 0;
  std::vector<int64_t> shape, stride;
};

class Pickle {
public:
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    large,
    real,
    text,
    tuple,
    list,
    dictionary,
    function,
    storage,
    tensor
  };
  struct Value {
    Kind kind = Kind::none;
    StorageType type = StorageType::f32; ///< of a storage or a storage's class
    int64_t number = 0;    ///< boolean, integer; size of a storage; index in tensors(); number of a function
    std::string_view text; ///< text, a storage's key, the little-endian bytes of a large integer
    std::vector<uint32_t> items; ///< of a tuple or list; of a dictionary: alternating keys and values
  };

  /// Reads one pickle of protocol 2 to 5 from the beginning of `bytes`. The result points into `bytes`.
  /// Errors begin with `where`. Names and opcodes that tensors do not need are errors.
  static Result<Pickle> read(std::span<const std::byte> bytes, const std::string &where);

  const Value &root() const { return values[result]; }
  const Value &at(uint32_t i) const { return values[i]; }
  const std::vector<PickledTensor> &tensors() const { return list; }
  /// Size of the pickle in bytes.
  uint64_t size() const { return length; }
  /// "a dictionary of 3 entries", for errors.
  static std::string describe(const Value &value);

private:
  friend class PickleMachine;
  std::vector<Value> values;
  std::vector<PickledTensor> list;
  uint32_t result = 0;
  uint64_t length = 0;
};

} // namespace linnet
