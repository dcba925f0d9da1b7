// Rotary positions as config.json describes them.
#pragma once
#include "frontend/model/json_reader.h"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

/// The angles of rotary positions: position p turns pair n by p f[n]. Su et al., 2021, arXiv:2104.09864.
struct Rotary {
  double theta = 10000;
  double partial = 1; ///< the part of a head that is rotated
  /// Scaling of the frequencies: "default" (none), "linear" (f / factor), or "llama3", which divides the low ones by
  /// `factor`, leaves the high ones, and interpolates between them.
  std::string type = "default";
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_positions = 8192; ///< of the training before the scaling

  /// The rotated pairs of a head. An odd part of a head is rounded up to pairs, as in transformers 5.
  int64_t pairs(int64_t head_size) const;
  /// Frequency of each pair, computed in f32 as transformers does.
  std::vector<float> frequencies(int64_t head_size) const;
  /// In the form of transformers 5: rope_type, rope_theta and what the type needs.
  Json toJson() const;

  /// Reads rope_parameters (transformers 5), or rope_theta and rope_scaling (transformers 4). `part` names an object
  /// inside rope_parameters; null: there is none. `positions`: of the model, before a scaling unless the file says so.
  void read(JsonReader &reader, int64_t positions, const char *part = nullptr);

private:
  int64_t part(int64_t head_size) const; ///< elements
  void readScaling(JsonReader &reader, int64_t positions);
};

} // namespace linnet
