// How a checkpoint stores its weights, for linnet-keep. The module attribute `linnet.kept` is a dictionary with an
// entry for each weight that is not f32:
//
//   linnet.kept = {embed.weight = {type = i8, group = 32, dim = 1}, head.weight = {type = bf16}}
//
// An integer weight NAME is the params NAME.integers and NAME.scales, with the meaning of linnet.matmul's rhs and
// scale. Groups lie along dimension `dim`. With `asymmetric`, there is a minimum for each group, too. With `rounded`,
// the checkpoint has no such integers: they are computed from the weight, as linnet-quantize does.
#pragma once
#include "ir/Linnet.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>
#include <set>
#include <string>

namespace linnet {

constexpr llvm::StringLiteral kKeptAttribute = "linnet.kept";
constexpr llvm::StringLiteral kIntegersSuffix = ".integers", kScalesSuffix = ".scales";

struct KeptForm {
  mlir::Type type; ///< bf16, f16, i8 or i4
  int64_t group = 0, dim = 0;
  bool asymmetric = false, rounded = false;

  bool isInteger() const { return llvm::isa<mlir::IntegerType>(type); }
};

mlir::DictionaryAttr attributeOf(mlir::Builder &builder, const KeptForm &form);
/// The form of a weight, or nothing if the module does not list it, or lists it in another way.
std::optional<KeptForm> keptForm(mlir::ModuleOp module, llvm::StringRef name);
/// The params NAME, NAME.integers and NAME.scales of all weights whose integers the checkpoint has. Their values depend
/// on each other.
std::set<std::string> keptIntegers(mlir::ModuleOp module);
/// Adds an entry to the module's dictionary.
void addKeptForm(mlir::ModuleOp module, llvm::StringRef name, const KeptForm &form);

} // namespace linnet
