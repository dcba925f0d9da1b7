// The dialect itself: registration, attributes' text, checks of attributes on functions.
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "ir/LinnetDialect.cpp.inc"
#include "ir/LinnetEnums.cpp.inc"
#include "ir/LinnetInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/LinnetAttrs.cpp.inc"

namespace linnet::ir {

void LinnetDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/LinnetAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/LinnetOps.cpp.inc"
      >();
}

Operation *LinnetDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto typed = llvm::dyn_cast<TypedAttr>(value);
  if (!typed || typed.getType() != type) return nullptr;
  return builder.create<ConstantOp>(loc, type, typed);
}

LogicalResult LinnetDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != "linnet.bounds") return success();
  auto bounds = llvm::dyn_cast<DictionaryAttr>(attribute.getValue());
  if (!bounds)
    return op->emitError("linnet.bounds is expected to be a dictionary, like {batch = 1, seq = 256}");
  for (NamedAttribute bound : bounds) {
    auto value = llvm::dyn_cast<IntegerAttr>(bound.getValue());
    if (!value || value.getInt() < 1 || value.getInt() > (int64_t(1) << 40))
      return op->emitError("linnet.bounds: ")
             << bound.getName() << " is expected to be an integer from 1 to 2^40";
  }
  return success();
}

//===- attributes --------------------------------------------------------------------------------------===//

Attribute DimsAttr::parse(AsmParser &parser, Type) {
  SmallVector<StringAttr> names;
  auto one = [&]() -> ParseResult {
    StringRef name;
    if (parser.parseKeyword(&name)) return failure();
    names.push_back(StringAttr::get(parser.getContext(), name));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, one, " in dimension names"))
    return {};
  return getChecked([&] { return parser.emitError(parser.getNameLoc()); }, parser.getContext(), names);
}
void DimsAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(getNames(), printer, [&](StringAttr name) { printer << name.getValue(); });
  printer << '>';
}
LogicalResult DimsAttr::verify(function_ref<InFlightDiagnostic()> error, ArrayRef<StringAttr> names) {
  if (names.empty()) return error() << "linnet.dims names at least one dimension";
  return success();
}

Attribute PanelAttr::parse(AsmParser &parser, Type) {
  SmallVector<int64_t, 2> blocks;
  int64_t interleave = 1;
  bool transposed = false;
  if (parser.parseLess() ||
      parser.parseDimensionList(blocks, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("transposed"))) {
      transposed = true;
    } else if (parser.parseKeyword("interleave") || parser.parseEqual() || parser.parseInteger(interleave)) {
      return {};
    }
  }
  if (parser.parseGreater()) return {};
  if (blocks.size() != 2) {
    parser.emitError(parser.getNameLoc(), "linnet.panel expects K_BLOCKxN_BLOCK, like <16x64>");
    return {};
  }
  return getChecked([&] { return parser.emitError(parser.getNameLoc()); }, parser.getContext(), blocks[0],
                    blocks[1], interleave, transposed);
}
void PanelAttr::print(AsmPrinter &printer) const {
  printer << '<' << getKBlock() << 'x' << getNBlock();
  if (getInterleave() != 1) printer << ", interleave = " << getInterleave();
  if (getTransposed()) printer << ", transposed";
  printer << '>';
}
LogicalResult PanelAttr::verify(function_ref<InFlightDiagnostic()> error, int64_t k_block, int64_t n_block,
                                int64_t interleave, bool) {
  if (k_block < 1 || n_block < 1 || interleave < 1 || k_block > 4096 || n_block > 4096 ||
      k_block % interleave)
    return error()
           << "linnet.panel: blocks are from 1 to 4096 and k_block is a multiple of interleave; found "
           << k_block << "x" << n_block << ", interleave " << interleave;
  return success();
}

} // namespace linnet::ir
