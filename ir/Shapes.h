// Properties of tensor types: names of dynamic dimensions, layout, sizes at the bounds. For passes and
// backends.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

#include <optional>
#include <string>

namespace linnet::ir {

/// The type of a value that is a tensor.
inline mlir::RankedTensorType tensor(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}
/// Names of the type's dynamic dimensions, in order; empty for a static type.
llvm::ArrayRef<mlir::StringAttr> dimsOf(mlir::RankedTensorType type);
/// The packed layout, or null for row-major.
PanelAttr panelOf(mlir::RankedTensorType type);
/// The name of dimension `dim`, or null if it is static.
mlir::StringAttr dimName(mlir::RankedTensorType type, int64_t dim);
/// A type of `shape` whose dynamic dimensions have `names` in order. A static type has no encoding.
mlir::RankedTensorType makeType(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<mlir::StringAttr> names,
                                mlir::Type element);
/// The same shape and element type in row-major layout: a panel is removed, dimension names stay.
mlir::RankedTensorType plainType(mlir::RankedTensorType type);

/// One dimension: a size, or a name when dynamic.
struct Dim {
  int64_t size = 0;
  mlir::StringAttr name; ///< null when static
  bool operator==(const Dim &) const = default;
};
llvm::SmallVector<Dim> shapeOf(mlir::RankedTensorType type);
mlir::RankedTensorType makeType(llvm::ArrayRef<Dim> shape, mlir::Type element);
/// "batchxseqx768" for messages.
std::string describe(llvm::ArrayRef<Dim> shape);
inline std::string describe(mlir::RankedTensorType type) { return describe(shapeOf(type)); }
/// NumPy's broadcast of two shapes, or nothing if they are incompatible.
std::optional<llvm::SmallVector<Dim>> broadcast(llvm::ArrayRef<Dim> a, llvm::ArrayRef<Dim> b);

/// The largest value of dimension `name` in `function`: its linnet.bounds, else the module's. Nothing if
/// absent.
std::optional<int64_t> boundOf(mlir::FunctionOpInterface function, llvm::StringRef name);
/// Elements and bytes at the bounds, including the padding of panels. Nothing if a bound is missing or the
/// number overflows.
std::optional<int64_t> maxElements(mlir::RankedTensorType type, mlir::FunctionOpInterface function);
std::optional<int64_t> maxBytes(mlir::RankedTensorType type, mlir::FunctionOpInterface function);
/// Bytes of one element.
int64_t elementBytes(mlir::Type element);

/// An entry is a public function with a body. The functions below return the attributes `linnet.name` and
/// `linnet.state` of its arguments and results, or the empty string.
bool isEntry(mlir::FunctionOpInterface function);
llvm::StringRef argName(mlir::FunctionOpInterface function, unsigned i);
llvm::StringRef argState(mlir::FunctionOpInterface function, unsigned i);
llvm::StringRef resultName(mlir::FunctionOpInterface function, unsigned i);
llvm::StringRef resultState(mlir::FunctionOpInterface function, unsigned i);

} // namespace linnet::ir
