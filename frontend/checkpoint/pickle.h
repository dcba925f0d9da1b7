// The part of Python's pickle that torch.save needs for tensors. A pickle is a program that may call any
// function by name; this reader knows a fixed list of names, builds values of its own, and runs nothing.
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

/// A tensor as torch describes it: a view of a storage, sizes and strides in elements.
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
    StorageType type = StorageType::f32; ///< of a storage, and of a storage's class
    int64_t number = 0;    ///< boolean, integer; elements of a storage; place in tensors(); which function
    std::string_view text; ///< text, a storage's key, the little-endian bytes of a large integer
    std::vector<uint32_t> items; ///< of a tuple or list; of a dictionary its keys and values in turn
  };

  /// Reads one pickle, of protocol 2 to 5, from the beginning of `bytes`, which the result points into.
  /// `where` starts errors. A name or an opcode that tensors do not need is refused.
  static Result<Pickle> read(std::span<const std::byte> bytes, const std::string &where);

  const Value &root() const { return values[result]; }
  const Value &at(uint32_t i) const { return values[i]; }
  const std::vector<PickledTensor> &tensors() const { return list; }
  /// Bytes that the pickle takes.
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
