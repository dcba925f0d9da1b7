// Rotary position embedding.
#include "backends/reference/ops.h"
#include "support/error.h"

#include <cmath>

namespace linnet::reference {
namespace {

Tensor rotaryTable(std::span<const float> frequencies, int64_t positions, float scale) {
  const auto angles = static_cast<int64_t>(frequencies.size());
  Tensor table = Tensor::zeros(Kind::f32, {positions, 2 * angles});
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < angles; ++i) {
      const double angle = static_cast<float>(p) * frequencies[i]; // the angle is rounded to f32
      table.data()[p * 2 * angles + i] = static_cast<float>(scale * std::cos(angle));
      table.data()[p * 2 * angles + angles + i] = static_cast<float>(scale * std::sin(angle));
    }
  return table;
}

Result<Tensor> rotary(const Tensor &x, const Tensor &table, const Tensor &positions, bool interleaved,
                      bool inverse) {
  const int64_t size = x.shape[3], heads = x.shape[2], angles = table.shape[1] / 2;
  Tensor out = x;
  out.floats = std::make_shared<std::vector<float>>(*x.floats);
  for (int64_t token = 0; token < positions.size(); ++token) {
    const int64_t position = positions.ints()[token];
    if (position < 0 || position >= table.shape[0])
      return errorf("position {} is outside the table of {} positions", position, table.shape[0]);
    const float *turn = table.data() + position * 2 * angles;
    for (int64_t first = token * heads * size; first < (token + 1) * heads * size; first += size)
      for (int64_t n = 0; n < angles; ++n) {
        const int64_t i = first + (interleaved ? 2 * n : n),
                      j = first + (interleaved ? 2 * n + 1 : n + angles);
        const double c = turn[n], s = inverse ? -double(turn[angles + n]) : double(turn[angles + n]);
        out.data()[i] = rounded(out.kind, x.data()[i] * c - x.data()[j] * s);
        out.data()[j] = rounded(out.kind, x.data()[j] * c + x.data()[i] * s);
      }
  }
  return out;
}

} // namespace

void addRotary(OpTable &table) {
  table.add<ir::RotaryTableOp>([](ir::RotaryTableOp op, const Inputs &) {
    const int64_t positions = llvm::cast<mlir::RankedTensorType>(op.getType()).getDimSize(0);
    return rotaryTable(op.getFrequencies(), positions, op.getScale().convertToFloat());
  });
  table.add<ir::RotaryOp>([](ir::RotaryOp op, const Inputs &x) {
    return rotary(x[0], x[1], x[2], op.getInterleaved(), op.getInverse());
  });
}

} // namespace linnet::reference
