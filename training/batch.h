// What one micro-batch is made of, and where they come from.
#pragma once
#include <cstdint>
#include <vector>

namespace linnet::training {

/// Rows are padded on the right. Of `ids` and `features` one is there.
struct Batch {
  int64_t rows = 0;
  int64_t seq = 0;              ///< length of the longest row, padding included; 0 with features
  std::vector<int32_t> ids;     ///< [rows, seq]
  std::vector<float> features;  ///< [rows, width]
  std::vector<int32_t> length;  ///< [rows]: how many of a row's ids count
  std::vector<int32_t> labels;  ///< language model: [rows, seq], the next token or -1 (no loss); else [rows]
  std::vector<int64_t> numbers; ///< [rows]: which example each row is (a language model's windows by number)
  int64_t counted = 0;          ///< labels that are not -1: what a mean loss divides by
};

/// A place in the data: `batch` micro-batches of `epoch` have been taken.
struct Position {
  uint32_t epoch = 0;
  int64_t batch = 0;
  bool operator==(const Position &) const = default;
};

/// Micro-batches by number: a place in the data is two integers, and taking it up again needs no more.
class BatchSource {
public:
  virtual ~BatchSource() = default;
  /// In each epoch.
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
