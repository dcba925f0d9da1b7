// A micro-batch, and the source of micro-batches.
#pragma once
#include <cstdint>
#include <vector>

namespace linnet::training {

/// Rows are padded on the right. Either `ids` or `features` is set.
struct Batch {
  int64_t rows = 0;
  int64_t seq = 0;              ///< length of the longest row, padding included; 0 with features
  std::vector<int32_t> ids;     ///< [rows, seq]
  std::vector<float> features;  ///< [rows, width]
  std::vector<int32_t> length;  ///< [rows]: number of valid ids of each row
  std::vector<int32_t> labels;  ///< language model: [rows, seq], the next token or -1 (no loss); else [rows]
  std::vector<int64_t> numbers; ///< [rows]: number of each row's example (or a language model's window)
  int64_t counted = 0;          ///< number of labels that are not -1, the divisor of the mean loss
};

/// A position in the data: `batch` micro-batches of `epoch` have been taken.
struct Position {
  uint32_t epoch = 0;
  int64_t batch = 0;
  bool operator==(const Position &) const = default;
};

/// Micro-batches by number. A position in the data is two integers, which suffice to resume.
class BatchSource {
public:
  virtual ~BatchSource() = default;
  /// Number of micro-batches of an epoch.
  virtual int64_t count() const = 0;
  /// `index` in [0, count()). The same arguments give the same batch.
  virtual Batch at(uint32_t epoch, int64_t index) const = 0;

  Batch take(Position &position) const {
    Batch batch = at(position.epoch, position.batch);
    if (++position.batch == count()) position = {position.epoch + 1, 0};
    return batch;
  }
};

} // namespace linnet::training
