// The specification of linnet.fused: the name and the shape of its region.
#include "backends/common/specs/from_ir.h"
#include "ir/Shapes.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <fmt/format.h>

using namespace mlir;

namespace linnet::backend {
using namespace ir;
using enum KernelOperand::Access;
namespace {

/// For example "fused_add_gelu_1a2b3c4d": the first four ops, and a hash of the region's whole text.
std::string nameOfRegion(FusedOp op) {
  std::string name = "fused", text;
  llvm::raw_string_ostream stream(text);
  int shown = 0;
  for (Operation &inner : op.getBody().front()) {
    // The kernel's name has the types of the inputs already. The generic form adds each op's operands and attributes.
    inner.print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
    stream << '\n';
    if (llvm::isa<ConstantOp, YieldOp>(inner) || ++shown > 4) continue;
    name += "_" + inner.getName().stripDialect().str();
  }
  return shown == 0 ? name + "_copy_" + fmt::format("{:08x}", uint32_t(llvm::xxh3_64bits(stream.str())))
                    : name + fmt::format("_{:016x}", llvm::xxh3_64bits(stream.str()));
}

/// The shape that a region is computed at: its results' shape, or the broadcast of its inputs if it reduces.
RankedTensorType shapeOfRegion(FusedOp op) {
  const RankedTensorType result = tensorOf(op.getResults().front());
  if (!op.getReduce()) return result;
  SmallVector<Dim> full;
  for (mlir::Value input : op.getInputs()) full = *broadcast(full, shapeOf(tensorOf(input)));
  return makeType(full, result.getElementType());
}

/// Dimensions of a region's shape, except those of size 1.
struct Dimensions {
  Extents extents = {};
  std::vector<uint32_t> repeats = {}; ///< bit i: input i has size 1 in this dimension
  std::vector<bool> border = {};      ///< whether the dimension stays separate from the previous one

  /// Sets the specification's shape and broadcast. Merges adjacent dimensions that every input treats alike.
  void mergeInto(ElementwiseSpec &spec) const {
    for (size_t d = 0; d < extents.size(); ++d) {
      if (d > 0 && repeats[d] == repeats[d - 1] && !border[d]) {
        spec.shape.back() = spec.shape.back() * extents[d];
        continue;
      }
      for (size_t i = 0; i < spec.broadcast.size(); ++i)
        if (repeats[d] >> i & 1) spec.broadcast[i] |= 1u << spec.shape.size();
      spec.shape.push_back(extents[d]);
    }
    if (spec.shape.empty()) spec.shape = {1};
  }
};

} // namespace

Result<Described<ElementwiseSpec>> OpSpecs::specOf(FusedOp op) {
  const RankedTensorType type = shapeOfRegion(op);
  const size_t inputs = op.getInputs().size();
  constexpr size_t kMost = 31; // bits of ElementwiseSpec::broadcast and Dimensions::repeats
  if (inputs > kMost || size_t(type.getRank()) > kMost)
    return errorAt(op, "target {} takes at most {} inputs and dimensions", target, kMost);
  for (Operation &inner : op.getBody().front().without_terminator())
    if (!elementType(getElementTypeOrSelf(inner.getResult(0).getType())))
      return errorAt(&inner, "target {} has no kernels with an element type like this result's", target);
  Described<ElementwiseSpec> made{{.name = nameOfRegion(op), .broadcast = std::vector<uint32_t>(inputs)}, {}};
  ElementwiseSpec &spec = made.spec;
  // A row of one element is its own sum, mean and maximum: it needs no reduction.
  if (op.getReduce() && type.getShape().back() != 1) spec.reduce = static_cast<Reduction>(*op.getReduce());

  Dimensions dims;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    if (type.getDimSize(d) == 1) continue;
    uint32_t repeats = 0;
    for (auto [i, input] : llvm::enumerate(op.getInputs())) {
      const RankedTensorType own_type = tensorOf(input);
      const int64_t own = d - (type.getRank() - own_type.getRank());
      if (own < 0 || own_type.getDimSize(own) == 1) repeats |= 1u << i;
    }
    dims.extents.push_back(extentOf(type, d));
    dims.repeats.push_back(repeats);
    dims.border.push_back(spec.reduce && d == type.getRank() - 1);
  }
  for (mlir::Value input : op.getInputs()) {
    made.operands.push_back({input});
    LINNET_ASSIGN(const Type element, typeOf(op, input));
    spec.in.push_back(element);
  }
  for (mlir::Value result : op.getResults()) {
    made.operands.push_back({result, write});
    LINNET_ASSIGN(const Type element, typeOf(op, result));
    spec.out.push_back(element);
  }
  dims.mergeInto(spec);
  return made;
}

} // namespace linnet::backend
