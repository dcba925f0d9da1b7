// Makes specifications of kernels from ops. The checks of shapes and types that all backends share are here and in
// from_ir.cpp.
#pragma once
#include "backends/common/element_type.h"
#include "backends/common/specs/attention.h"
#include "backends/common/specs/elementwise.h"
#include "backends/common/specs/matmul.h"
#include "backends/common/specs/moves.h"
#include "backends/common/specs/training.h"
#include "ir/Linnet.h"
#include "support/error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>
#include <string>
#include <vector>

namespace linnet::backend {

/// The op's location for error messages: a name, or for example "graph.mlir:12".
std::string locationOf(mlir::Operation *op);
/// An error of the form "blocks.0.attn: linnet.softmax: message".
template <class... Args>
Error errorAt(mlir::Operation *op, fmt::format_string<Args...> format, Args &&...args) {
  return errorf("{}: {}: {}", locationOf(op), op->getName().getStringRef().str(),
                fmt::format(format, std::forward<Args>(args)...));
}

/// The element type of a value; the error names the op.
Result<Type> typeOf(mlir::Operation *op, mlir::Value value);
/// The type that all values share, or an error that names both types and the op.
Result<Type> commonType(mlir::Operation *op, mlir::ValueRange values);
mlir::RankedTensorType tensorOf(mlir::Value value);
inline int64_t lastDim(mlir::Value value) { return tensorOf(value).getRank() - 1; }

/// An operand of a kernel: a value, and the elements that the kernel reads or writes.
struct KernelOperand {
  enum Access : uint8_t {
    read,        ///< consecutive elements
    read_rows,   ///< rows that may have gaps between them; the specification has the stride
    read_panels, ///< a weight in panels
    write,       ///< consecutive elements
  };
  mlir::Value value;
  Access access = read;
};

/// The specification that an op's kernel is generated from, and the operands in the order of Spec::Operand.
template <class Spec> struct Described {
  Spec spec;
  std::vector<KernelOperand> operands;
};

class OpSpecs {
protected:
  explicit OpSpecs(std::string target) : target(std::move(target)) {}
  ~OpSpecs() = default;

  /// Product of dimensions [from, to) of a tensor. to = -1 means up to the last dimension.
  Extent extentOf(mlir::Value value, int64_t from = 0, int64_t to = -1) const;
  Extent dimOf(mlir::Value value, int64_t dim) const { return extentOf(value, dim, dim + 1); }
  Extent extentOf(mlir::RankedTensorType type, int64_t dim) const;

  Result<Described<SoftmaxSpec>> specOf(ir::SoftmaxOp op);
  Result<Described<ArgmaxSpec>> specOf(ir::ArgmaxOp op);
  Result<Described<NormSpec>> specOf(ir::LayerNormOp op);
  Result<Described<NormSpec>> specOf(ir::RmsNormOp op);
  Result<Described<ReduceSpec>> specOf(ir::ReduceOp op);
  Result<Described<PoolSpec>> specOf(ir::PoolOp op);
  Result<Described<EmbedSpec>> specOf(ir::EmbedOp op);
  Result<Described<PositionsSpec>> specOf(ir::PositionsOp op);
  Result<Described<CacheAppendSpec>> specOf(ir::CacheAppendOp op);
  Result<Described<RotarySpec>> specOf(ir::RotaryOp op);
  Result<Described<CopySpec>> specOf(ir::SliceOp op);
  Result<Described<TransposeSpec>> specOf(ir::TransposeOp op);
  /// One copy for each operand.
  Result<std::vector<Described<CopySpec>>> specsOf(ir::ConcatOp op);
  Result<Described<AttentionSpec>> specOf(ir::AttentionOp op);
  Result<Described<MaskSpec>> specOf(ir::MaskOp op);
  /// A matmul of two row-major operands.
  Result<Described<MatmulSpec>> specOf(ir::MatmulOp op);
  /// Accepts at most 31 inputs and 31 dimensions.
  Result<Described<ElementwiseSpec>> specOf(ir::FusedOp op);

  // training
  Result<Described<CrossEntropySpec>> specOf(ir::CrossEntropyOp op);
  Result<Described<CrossEntropyGradSpec>> specOf(ir::CrossEntropyGradOp op);
  Result<Described<LayerNormGradSpec>> specOf(ir::LayerNormGradOp op);
  Result<Described<PoolGradSpec>> specOf(ir::PoolGradOp op);
  Result<Described<DropoutSpec>> specOf(ir::DropoutOp op);
  Result<Described<SumRowsSpec>> specOf(ir::SumRowsOp op);
  Result<Described<ScatterAddSpec>> specOf(ir::ScatterAddOp op);
  /// A matmul with the transpose of lhs. K is the product of all leading dimensions.
  Result<Described<MatmulSpec>> specOf(ir::ContractOp op);
  Result<Described<AttentionGradSpec>> specOf(ir::AttentionGradOp op);
  Result<Described<AdamWSpec>> specOf(ir::AdamWOp op);

  /// An error unless all values are f32, the only type that kernels of training compute in.
  Result<void> onlyF32(mlir::Operation *op, mlir::ValueRange values) const;
  /// An error unless the op's result has the memory of its operand.
  Result<void> requireInPlace(mlir::Operation *op) const;
  /// An error unless `scale` is f32, the only type in which kernels read scales.
  Result<void> scaleIsF32(mlir::Operation *op, mlir::Value scale) const;
  /// Whether this target's kernels can read rows of a table of `type` in panels of this layout.
  virtual bool readsRowsOf(ir::PanelAttr panel, Type type) const = 0;

  const std::string target;
  std::map<std::string, uint8_t> symbols; ///< indices of the names of dynamic dimensions in Program.symbols

private:
  Result<Described<RowSpec>> rowsOf(mlir::Operation *op);
  Result<int64_t> headSize(mlir::Operation *op, mlir::Value q) const;
  Result<int64_t> tableRows(mlir::Operation *op, mlir::Value table) const;
  /// The distance in elements between two rows of `row` elements, gaps included.
  Result<Extent> strideOf(mlir::Operation *op, mlir::Value value, const Extent &row) const;
};

} // namespace linnet::backend
