#include "passes/WorkingMemory.h"

#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "passes/Plan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;

namespace linnet {
namespace {
using namespace ir;

RankedTensorType tensor(Value value) { return llvm::cast<RankedTensorType>(value.getType()); }

/// At the bounds; 0 where they are not known, which linnet-plan-memory reports for the result.
int64_t elementsOf(Operation *op, Value value) {
  const RankedTensorType type = tensor(value);
  return maxBytes(type, op->getParentOfType<func::FuncOp>()).value_or(0) /
         elementBytes(type.getElementType());
}

/// A matmul's weight in panels.
struct Panels {
  explicit Panels(MatmulOp op) {
    const RankedTensorType rhs = tensor(op.getRhs());
    const PanelAttr panel = panelOf(rhs);
    if (!panel) return;
    k = rhs.getDimSize(panel.getTransposed() ? 1 : 0);
    width = panel.getNBlock();
    count = llvm::divideCeil(rhs.getDimSize(panel.getTransposed() ? 0 : 1), width);
  }
  int64_t k = 0, width = 0, count = 0; ///< 0: it is not in panels
};

int64_t bytesOfProduct(MatmulOp op) {
  using namespace sharing;
  const Panels panels(op);
  const int64_t pieces = panels.count ? piecesOfProduct(panels.count, panels.k) : 1;
  return pieces > 1 ? 4 * panels.count * panels.width * kMostRows * pieces : 0;
}

/// In one command with the product whose rows it chooses from: pairs of a number and its column.
int64_t bytesOfChoice(ArgmaxOp op) {
  auto matmul = op.getOperand().getDefiningOp<MatmulOp>();
  if (!op->hasAttr(kJoined) || !matmul) return 0;
  return elementsOf(op, op.getResult()) * Panels(matmul).count * sharing::kMostPartsOfPanel * 2 * 4;
}

int64_t bytesOfAttention(AttentionOp op) {
  using namespace sharing;
  const RankedTensorType cache = tensor(op.getK());
  auto function = op->getParentOfType<func::FuncOp>();
  if (!op.getPast() || cache.isDynamicDim(1)) return 0;
  const auto capacity =
      cache.isDynamicDim(2) ? boundOf(function, dimName(cache, 2)) : std::optional(cache.getDimSize(2));
  const int64_t heads = cache.getDimSize(1), parts = capacity ? partsOfAttention(heads, *capacity) : 1;
  if (parts < 2) return 0;
  const int64_t batch = elementsOf(op, op.getPast()), head_size = tensor(op.getQ()).getDimSize(3);
  return batch * heads * kMostQueries * parts * bytesOfPart(head_size);
}

} // namespace

int64_t integerRowBytes(int64_t k, int64_t group) {
  constexpr int64_t kAlignment = 64, kMultiple = 16;
  const int64_t planes = 2 * llvm::alignTo(k, kMultiple), factor = 4;
  const int64_t sums = 8 * (group ? llvm::divideCeil(k, group) : 1);
  return llvm::alignTo(std::max<int64_t>(planes + factor + sums, 4 * k), kAlignment);
}

namespace sharing {

int64_t piecesOfProduct(int64_t panels, int64_t k) {
  constexpr int64_t kLeastDepth = 1024; // less is not worth the result's way through memory
  const auto filling = static_cast<int64_t>(llvm::divideCeil(kFillingGroups, panels * kSlices));
  return std::max<int64_t>(std::min(filling, k / kLeastDepth), 1);
}

int64_t partsOfAttention(int64_t heads, int64_t capacity) {
  const auto filling = static_cast<int64_t>(llvm::divideCeil(kFillingGroups, heads));
  return std::max<int64_t>(std::min(filling, (capacity - 1) / kLeastKeys + 1), 1);
}

} // namespace sharing

int64_t cpuWorkingBytes(Operation *op) {
  auto matmul = llvm::dyn_cast<MatmulOp>(op);
  const bool integers = matmul && llvm::isa<IntegerType>(tensor(matmul.getRhs()).getElementType());
  const int64_t k = integers ? Panels(matmul).k : 0;
  if (k == 0) return 0;
  return elementsOf(op, matmul.getLhs()) / k * integerRowBytes(k, static_cast<int64_t>(matmul.getGroup()));
}

int64_t vulkanWorkingBytes(Operation *op) {
  if (auto matmul = llvm::dyn_cast<MatmulOp>(op)) return bytesOfProduct(matmul);
  if (auto argmax = llvm::dyn_cast<ArgmaxOp>(op)) return bytesOfChoice(argmax);
  if (auto attention = llvm::dyn_cast<AttentionOp>(op)) return bytesOfAttention(attention);
  if (auto gradient = llvm::dyn_cast<AttentionGradOp>(op))
    return elementsOf(op, gradient.getQ()) / tensor(gradient.getQ()).getDimSize(3) * sharing::kStatistics * 4;
  return 0;
}

} // namespace linnet
