// The dialect: registration, parsers and printers of attributes, verifiers of attributes on functions.
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
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

//===- attributes of functions -------------------------------------------------------------------------===//

namespace {

LogicalResult verifyBounds(Operation *op, Attribute attribute) {
  auto bounds = llvm::dyn_cast<DictionaryAttr>(attribute);
  if (!bounds)
    return op->emitError("linnet.bounds is expected to be a dictionary, like {batch = 1, seq = 256}");
  for (NamedAttribute bound : bounds) {
    auto value = llvm::dyn_cast<IntegerAttr>(bound.getValue());
    if (!value || value.getInt() < 1 || value.getInt() > (int64_t(1) << 40))
      return op->emitError("linnet.bounds: ")
             << bound.getName().getValue() << " is expected to be an integer from 1 to 2^40";
  }
  return success();
}

/// The number of arguments (or results) of `function` whose linnet.state or linnet.name is `value`.
int count(FunctionOpInterface function, bool results, StringRef key, Attribute value) {
  int n = 0;
  for (unsigned i = 0; i < (results ? function.getNumResults() : function.getNumArguments()); ++i)
    n += (results ? function.getResultAttr(i, key) : function.getArgAttr(i, key)) == value;
  return n;
}

/// linnet.name and linnet.state are strings, unique among arguments and among results. A state is an argument
/// and a result of the same type.
LogicalResult verifyNamed(Operation *op, bool result, unsigned index, NamedAttribute attribute) {
  StringRef key = attribute.getName().getValue();
  if (key != "linnet.name" && key != "linnet.state") return success();
  auto function = llvm::dyn_cast<FunctionOpInterface>(op);
  auto text = llvm::dyn_cast<StringAttr>(attribute.getValue());
  if (!function || !text || text.getValue().empty())
    return op->emitError() << key << " is expected to be a string, on an argument or a result of a function";
  const char *side = result ? "result" : "argument";
  if (count(function, result, key, text) != 1)
    return op->emitError() << key << " \"" << text.getValue() << "\" is on more than one " << side;
  if (key == "linnet.name") return success();
  for (unsigned i = 0; i < (result ? function.getNumArguments() : function.getNumResults()); ++i) {
    if ((result ? function.getArgAttr(i, key) : function.getResultAttr(i, key)) != text) continue;
    Type here = result ? function.getResultTypes()[index] : function.getArgumentTypes()[index];
    Type there = result ? function.getArgumentTypes()[i] : function.getResultTypes()[i];
    if (here == there) return success();
    return op->emitError() << "linnet.state \"" << text.getValue() << "\" is " << here << " as " << side
                           << " and " << there << " at the other end";
  }
  return op->emitError() << "linnet.state \"" << text.getValue() << "\" is "
                         << (result ? "a result" : "an argument") << " only; a state is both";
}

} // namespace

LogicalResult LinnetDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  return attribute.getName() == "linnet.bounds" ? verifyBounds(op, attribute.getValue()) : success();
}
LogicalResult LinnetDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned index,
                                                      NamedAttribute attribute) {
  return verifyNamed(op, /*result=*/false, index, attribute);
}
LogicalResult LinnetDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned index,
                                                         NamedAttribute attribute) {
  return verifyNamed(op, /*result=*/true, index, attribute);
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

LogicalResult DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                                       function_ref<InFlightDiagnostic()> error) const {
  size_t dynamic = llvm::count_if(shape, ShapedType::isDynamic);
  if (dynamic == getNames().size()) return success();
  return error() << "linnet.dims names " << getNames().size() << " dimensions, the shape has " << dynamic
                 << " dynamic ones";
}
LogicalResult PanelAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                                        function_ref<InFlightDiagnostic()> error) const {
  if (shape.size() == 2 && llvm::none_of(shape, ShapedType::isDynamic)) return success();
  return error() << "linnet.panel is a layout of static matrices, the tensor has " << shape.size()
                 << " dimensions or dynamic ones";
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
