// The matrix variant, for many rows. kMatrixK rows of w and the same columns of a are in shared memory, in f16. Each of
// four subgroups computes a quarter of 64 x 64.
#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {
namespace {

using spirv::MatrixUse;

struct MatrixMatmul {
  static constexpr uint32_t kMatrixK = 32, kMatrixRows = 64, kQuarter = 32;
  static constexpr uint32_t kQuads = PackedMatmul::kQuads;
  // the extra elements put rows into different banks
  static constexpr uint32_t kStrideA = kMatrixK + 8, kStrideW = 64 + 8;

  PackedMatmul &m;
  Emitter &e = m.e;
  Builder &b = m.b;
  const PackedMatmulSpec &spec = m.spec;
  const MatrixShape &shape = m.variant.shape;
  const uint32_t down = kQuarter / shape.m, across = kQuarter / shape.n;
  Shared a = {}, w = {}, out = {};
  Value subgroup = {}, first_row = {}, first_column = {};

  void emit() {
    e.enableMatrices();
    const spirv::Type half{spirv::Kind::f16, 1};
    a = b.shared(half, kMatrixRows * kStrideA, "a"), w = b.shared(half, kMatrixK * kStrideW, "w");
    out = e.shared(Builder::f32(), kMatrixSubgroups * shape.m * shape.n, "out");
    e.addShared(2 * (kMatrixRows * kStrideA + kMatrixK * kStrideW));
    const spirv::MatrixType of_sum{spirv::Kind::f32, shape.m, shape.n, MatrixUse::sum};
    subgroup = b.subgroupId();
    first_row = b.mul(b.shiftRight(subgroup, e.u(1)), e.u(kQuarter));
    first_column = b.mul(b.bitAnd(subgroup, e.u(1)), e.u(kQuarter));
    m.forTiles([&](Value panel, Value first) {
      std::vector<spirv::MatrixVariable> sums;
      for (uint32_t i = 0; i < down * across; ++i) sums.push_back(b.zeroMatrix(of_sum));
      b.forRange(e.u(0), e.u(uint64_t(spec.w.k)), e.u(kMatrixK), [&](Value k0) {
        b.barrier(); // all invocations have finished reading the previous step's a and w
        fillActivations(first, k0);
        fillWeights(panel, k0);
        b.barrier();
        for (uint32_t k = 0; k < kMatrixK; k += shape.k) multiply(sums, k);
      });
      store(sums, panel, first);
    });
  }

  void multiply(std::span<const spirv::MatrixVariable> sums, uint32_t k) {
    const spirv::MatrixType of_a{spirv::Kind::f16, shape.m, shape.k, MatrixUse::a},
        of_w{spirv::Kind::f16, shape.k, shape.n, MatrixUse::b};
    std::vector<spirv::Matrix> rows, columns;
    for (uint32_t i = 0; i < down; ++i)
      rows.push_back(b.loadMatrix(a, b.add(b.mul(first_row, e.u(kStrideA)), e.u(i * shape.m * kStrideA + k)),
                                  kStrideA, of_a));
    for (uint32_t j = 0; j < across; ++j)
      columns.push_back(
          b.loadMatrix(w, b.add(first_column, e.u(k * kStrideW + j * shape.n)), kStrideW, of_w));
    for (uint32_t i = 0; i < down; ++i)
      for (uint32_t j = 0; j < across; ++j) {
        const spirv::MatrixVariable &sum = sums[i * across + j];
        b.set(sum, b.multiplyAdd(rows[i], columns[j], b.get(sum)));
      }
  }

  /// Stores one matrix of each subgroup at a time. Shared memory passes its elements to the invocations.
  void store(std::span<const spirv::MatrixVariable> sums, Value panel, Value first) {
    Value own = b.mul(subgroup, e.u(shape.m * shape.n)), lane = b.subgroupLane();
    for (uint32_t i = 0; i < down; ++i)
      for (uint32_t j = 0; j < across; ++j) {
        // The previous matrix has been read. For the first one, a barrier of the last step already ensures this.
        if (i + j) b.barrier();
        b.storeMatrix(out, own, shape.n, b.get(sums[i * across + j]));
        b.barrier();
        b.forRange(lane, e.u(shape.m * shape.n), e.u(shape.subgroup), [&](Value element) {
          Value row = b.add(b.add(first, first_row), b.add(e.u(i * shape.m), b.div(element, e.u(shape.n))));
          Value column = b.add(b.add(first_column, e.u(j * shape.n)), b.mod(element, e.u(shape.n)));
          m.withColumn(panel, column, [&](const PackedMatmul::Column &c) {
            m.storeInside(row, c, b.load(out, b.add(own, element)));
          });
        });
      }
  }

  void storeHalves(Shared to, Value at, Value four) {
    Value halves = b.convert(four, {spirv::Kind::f16, 4});
    for (int c = 0; c < 4; ++c) b.store(to, b.add(at, e.u(uint64_t(c))), b.extract(halves, c));
  }
  void fillActivations(Value first, Value k0) {
    constexpr uint32_t kFours = kMatrixK / 4;
    b.forRange(b.localId(0), e.u(kMatrixRows * kFours), e.u(e.invocations()), [&](Value i) {
      Value k = b.mul(b.bitAnd(i, e.u(kFours - 1)), e.u(4)), row = b.div(i, e.u(kFours));
      Value x = b.add(k0, k), y = b.add(first, row);
      Variable four = b.variable(b.splat(e.f(0), 4));
      b.ifThen(b.logicalAnd(b.lt(x, e.u(uint64_t(spec.w.k))), b.lt(y, e.extent(spec.m))), [&] {
        const auto parts = m.activations(m.plainRow(y), x);
        b.set(four, b.vector({parts[0], parts[1], parts[2], parts[3]}));
      });
      storeHalves(a, b.add(b.mul(row, e.u(kStrideA)), k), b.get(four));
    });
  }
  void fillWeights(Value panel, Value k0) {
    b.forRange(b.localId(0), e.u(kMatrixK / 4 * kQuads), e.u(e.invocations()), [&](Value i) {
      Value quad = b.mod(i, e.u(kQuads)), k = b.mul(b.div(i, e.u(kQuads)), e.u(4)), at = b.add(k0, k);
      Variable rows[4];
      for (Variable &row : rows) row = b.variable(b.splat(e.f(0), 4));
      b.ifThen(b.lt(at, e.u(uint64_t(spec.w.k))), [&] {
        PanelReader reader = m.weights(panel, quad);
        std::array<Value, 4> four = reader.rows4(at);
        const PackedMatmul::Scaling scaling = m.scalesInside(panel, quad, at);
        for (size_t r = 0; r < 4; ++r) b.set(rows[r], m.scaled(four[r], scaling));
      });
      for (uint32_t r = 0; r < 4; ++r)
        storeHalves(w, b.add(b.mul(b.add(k, e.u(r)), e.u(kStrideW)), b.mul(quad, e.u(4))), b.get(rows[r]));
    });
  }
};

} // namespace

void matrixMatmul(PackedMatmul &matmul) { MatrixMatmul{matmul}.emit(); }

} // namespace linnet::vulkan
