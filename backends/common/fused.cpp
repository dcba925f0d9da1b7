#include "backends/common/fused.h"

#include "ir/Shapes.h"

#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <fmt/format.h>

using namespace mlir;

namespace linnet::backend {
using namespace ir;

std::string nameOfRegion(FusedOp op) {
  std::string name = "fused", text;
  llvm::raw_string_ostream stream(text);
  int shown = 0;
  for (Operation &inner : op.getBody().front()) {
    // Types of operands are part of the kernel's name; the op's own text names its operands and attributes.
    inner.print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
    stream << '\n';
    if (llvm::isa<ConstantOp, YieldOp>(inner) || ++shown > 4) continue;
    name += "_" + inner.getName().stripDialect().str();
  }
  return shown == 0 ? name + "_copy_" + fmt::format("{:08x}", uint32_t(llvm::xxh3_64bits(stream.str())))
                    : name + fmt::format("_{:016x}", llvm::xxh3_64bits(stream.str()));
}

RegionShape shapeOfRegion(FusedOp op) {
  const auto result = llvm::cast<RankedTensorType>(op.getResults().front().getType());
  if (!op.getReduce()) return {result};
  SmallVector<Dim> full;
  for (Value input : op.getInputs())
    full = *broadcast(full, shapeOf(llvm::cast<RankedTensorType>(input.getType())));
  const RankedTensorType type = makeType(full, result.getElementType());
  return {type, type.getShape().back() != 1};
}

Extents MergedShape::merge(std::vector<uint32_t> &broadcast) const {
  Extents shape;
  for (size_t d = 0; d < extents.size(); ++d) {
    const bool joins = d > 0 && flags[d] == flags[d - 1] && !border[d];
    if (joins) {
      shape.back() = shape.back() * extents[d];
      continue;
    }
    for (size_t i = 0; i < broadcast.size(); ++i)
      if (flags[d] >> i & 1) broadcast[i] |= 1u << shape.size();
    shape.push_back(extents[d]);
  }
  return shape.empty() ? Extents{1} : shape;
}

} // namespace linnet::backend
