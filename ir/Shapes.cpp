#include "ir/Shapes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace linnet::ir {

ArrayRef<StringAttr> dimsOf(RankedTensorType type) {
  if (auto dims = llvm::dyn_cast_or_null<DimsAttr>(type.getEncoding())) return dims.getNames();
  return {};
}
PanelAttr panelOf(RankedTensorType type) { return llvm::dyn_cast_or_null<PanelAttr>(type.getEncoding()); }

StringAttr dimName(RankedTensorType type, int64_t dim) {
  ArrayRef<StringAttr> names = dimsOf(type);
  size_t index = llvm::count_if(type.getShape().take_front(dim), ShapedType::isDynamic);
  return type.isDynamicDim(dim) && index < names.size() ? names[index] : StringAttr();
}

RankedTensorType makeType(ArrayRef<int64_t> shape, ArrayRef<StringAttr> names, Type element) {
  Attribute encoding;
  if (!names.empty()) encoding = DimsAttr::get(element.getContext(), names);
  return RankedTensorType::get(shape, element, encoding);
}

RankedTensorType plainType(RankedTensorType type) {
  return makeType(type.getShape(), dimsOf(type), type.getElementType());
}

SmallVector<Dim> shapeOf(RankedTensorType type) {
  SmallVector<Dim> shape;
  for (int64_t i = 0; i < type.getRank(); ++i) shape.push_back({type.getDimSize(i), dimName(type, i)});
  return shape;
}

RankedTensorType makeType(ArrayRef<Dim> shape, Type element) {
  SmallVector<int64_t> sizes;
  SmallVector<StringAttr> names;
  for (const Dim &dim : shape) {
    sizes.push_back(dim.size);
    if (dim.name) names.push_back(dim.name);
  }
  return makeType(sizes, names, element);
}

std::string describe(ArrayRef<Dim> shape) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << '(';
  llvm::interleaveComma(shape, out, [&](const Dim &dim) {
    if (dim.name)
      out << dim.name.getValue();
    else if (ShapedType::isDynamic(dim.size))
      out << '?';
    else
      out << dim.size;
  });
  out << ')';
  return text;
}

std::optional<SmallVector<Dim>> broadcast(ArrayRef<Dim> a, ArrayRef<Dim> b) {
  if (a.size() < b.size()) std::swap(a, b);
  SmallVector<Dim> result(a);
  size_t shift = a.size() - b.size();
  for (size_t i = 0; i < b.size(); ++i) {
    const Dim &x = a[i + shift], &y = b[i];
    if (x == y || (y.size == 1 && !y.name)) continue;
    if (x.size != 1 || x.name) return std::nullopt;
    result[i + shift] = y;
  }
  return result;
}

std::optional<int64_t> boundOf(FunctionOpInterface function, StringRef name) {
  for (Operation *op = function; op; op = op->getParentOp())
    if (auto bounds = op->getAttrOfType<DictionaryAttr>("linnet.bounds"))
      if (auto bound = bounds.getAs<IntegerAttr>(name)) return bound.getInt();
  return std::nullopt;
}

int64_t elementBytes(Type element) { return (element.getIntOrFloatBitWidth() + 7) / 8; }

std::optional<int64_t> maxElements(RankedTensorType type, FunctionOpInterface function) {
  SmallVector<int64_t> shape(type.getShape());
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i)) continue;
    StringAttr name = dimName(type, i);
    auto bound = name ? boundOf(function, name) : std::nullopt;
    if (!bound) return std::nullopt;
    shape[i] = *bound;
  }
  if (PanelAttr panel = panelOf(type)) {
    auto pad = [](int64_t size, int64_t block) { return (size + block - 1) / block * block; };
    int k = panel.getTransposed() ? 1 : 0;
    shape[k] = pad(shape[k], panel.getKBlock());
    shape[1 - k] = pad(shape[1 - k], panel.getNBlock());
  }
  std::optional<int64_t> elements = 1;
  for (int64_t size : shape)
    if (elements) elements = llvm::checkedMul(*elements, size);
  return elements;
}

std::optional<int64_t> maxBytes(RankedTensorType type, FunctionOpInterface function) {
  auto elements = maxElements(type, function);
  if (!elements) return std::nullopt;
  if (type.getElementType().isInteger(4)) return (*elements + 1) / 2; // two to a byte
  return llvm::checkedMul(*elements, elementBytes(type.getElementType()));
}

namespace {
StringRef text(Attribute attribute) {
  auto string = llvm::dyn_cast_or_null<StringAttr>(attribute);
  return string ? string.getValue() : StringRef();
}
} // namespace

bool isEntry(FunctionOpInterface function) { return function.isPublic() && !function.isExternal(); }
StringRef argName(FunctionOpInterface function, unsigned i) {
  return text(function.getArgAttr(i, "linnet.name"));
}
StringRef argState(FunctionOpInterface function, unsigned i) {
  return text(function.getArgAttr(i, "linnet.state"));
}
StringRef resultName(FunctionOpInterface function, unsigned i) {
  return text(function.getResultAttr(i, "linnet.name"));
}
StringRef resultState(FunctionOpInterface function, unsigned i) {
  return text(function.getResultAttr(i, "linnet.state"));
}

} // namespace linnet::ir
