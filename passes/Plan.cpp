#include "passes/Plan.h"

#include "ir/Shapes.h"

using namespace mlir;

namespace linnet {
using namespace ir;
namespace {

constexpr llvm::StringLiteral kSlot = "linnet.slot", kOutput = "linnet.output", kInPlace = "linnet.in_place",
                              kView = "linnet.view", kPlaces = "linnet.places";

Placement fromAttribute(Attribute attribute) {
  if (auto slot = llvm::dyn_cast_or_null<SlotAttr>(attribute))
    return {Placement::slot, 0, slot.getOffset(), slot.getSize()};
  if (auto output = llvm::dyn_cast_or_null<IntegerAttr>(attribute))
    return {Placement::output, static_cast<int>(output.getInt())};
  return {};
}

void place(OpResult result, Attribute attribute) {
  Operation *op = result.getOwner();
  if (op->getNumResults() == 1) {
    clearPlacement(op);
    op->setAttr(llvm::isa<SlotAttr>(attribute) ? kSlot : kOutput, attribute);
    return;
  }
  // A unit attribute marks a result without memory, so that results can be set one after the other.
  SmallVector<Attribute> places(op->getNumResults(), UnitAttr::get(op->getContext()));
  if (auto old = op->getAttrOfType<ArrayAttr>(kPlaces); old && old.size() == places.size())
    places.assign(old.begin(), old.end());
  places[result.getResultNumber()] = attribute;
  op->setAttr(kPlaces, ArrayAttr::get(op->getContext(), places));
}

int64_t product(ArrayRef<int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes)
    if (!ShapedType::isDynamic(size)) product *= size;
  return product;
}

Storage denseStorage(Value value) {
  auto type = llvm::dyn_cast<RankedTensorType>(value.getType());
  int64_t elements = type ? product(type.getShape()) : 1;
  return {value, 0, elements, elements};
}

/// Whether the value is one row, so that its elements are consecutive for any stride.
bool oneRow(RankedTensorType type, int64_t row) {
  return type.hasStaticShape() && product(type.getShape()) == row;
}

} // namespace

bool isCommand(Operation *op) {
  return !op->hasAttr("linnet.view") && !op->hasTrait<OpTrait::IsTerminator>() &&
         !llvm::isa<ParamOp, ConstantOp, RelayoutOp>(op);
}

Placement placementOf(Value value) {
  if (auto argument = llvm::dyn_cast<BlockArgument>(value))
    return {Placement::argument, static_cast<int>(argument.getArgNumber())};
  Operation *op = value.getDefiningOp();
  if (llvm::isa<ParamOp>(op)) return {Placement::param};
  if (llvm::isa<ConstantOp>(op)) return {Placement::constant};
  if (op->hasAttr(kView)) return {Placement::view};
  if (op->hasAttr(kInPlace)) return {Placement::in_place};
  if (op->getNumResults() == 1) {
    Attribute slot = op->getAttr(kSlot);
    return fromAttribute(slot ? slot : op->getAttr(kOutput));
  }
  auto places = op->getAttrOfType<ArrayAttr>(kPlaces);
  unsigned i = llvm::cast<OpResult>(value).getResultNumber();
  return places && i < places.size() ? fromAttribute(places[i]) : Placement();
}

void placeInSlot(OpResult result, int64_t offset, int64_t size) {
  place(result, SlotAttr::get(result.getContext(), offset, size));
}
void placeInOutput(OpResult result, int64_t output) {
  place(result, IntegerAttr::get(IntegerType::get(result.getContext(), 64), output));
}
void clearPlacement(Operation *op) {
  for (llvm::StringRef name : {kSlot, kOutput, kPlaces, kInPlace, kView, kWorking, kCommands})
    op->removeAttr(name);
}

std::optional<Storage> viewStorage(Operation *view) {
  Storage from = storageOf(view->getOperand(0));
  if (llvm::isa<ReshapeOp>(view)) return from;
  auto slice = llvm::dyn_cast<SliceOp>(view);
  if (!slice) return std::nullopt;
  auto type = llvm::cast<RankedTensorType>(slice.getOperand().getType());
  if (panelOf(type)) return std::nullopt;
  int64_t dim = slice.getDim();
  int64_t inner = product(type.getShape().drop_front(dim + 1));
  int64_t whole = type.getDimSize(dim) * inner, row = slice.getSize() * inner;
  if (llvm::any_of(type.getShape().drop_front(dim), ShapedType::isDynamic)) return std::nullopt;
  // The slice is `row` elements of each `whole`. A slice of a view with gaps is regular only if it takes a
  // part of each row.
  int64_t stride = whole;
  if (!from.dense()) {
    if (from.row != whole) return std::nullopt;
    stride = from.stride;
  }
  Storage storage{from.base, from.offset + static_cast<int64_t>(slice.getOffset()) * inner, row, stride};
  if (oneRow(llvm::cast<RankedTensorType>(slice.getType()), row)) storage.stride = row;
  return storage;
}

Storage storageOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (op && op->hasAttr(kInPlace)) return storageOf(op->getOperand(0));
  if (!op || !op->hasAttr(kView)) return denseStorage(value);
  auto storage = viewStorage(op);
  return storage ? *storage : denseStorage(value);
}

namespace {
int64_t integerAttribute(Operation *op, llvm::StringRef name) {
  auto value = op->getAttrOfType<IntegerAttr>(name);
  return value ? value.getInt() : 0;
}
} // namespace
int64_t arenaBytes(func::FuncOp function) { return integerAttribute(function, "linnet.arena_bytes"); }
int64_t liveBytes(func::FuncOp function) { return integerAttribute(function, "linnet.live_bytes"); }
void setArena(func::FuncOp function, int64_t arena_bytes, int64_t live_bytes) {
  Builder builder(function.getContext());
  function->setAttr("linnet.arena_bytes", builder.getI64IntegerAttr(arena_bytes));
  function->setAttr("linnet.live_bytes", builder.getI64IntegerAttr(live_bytes));
}

} // namespace linnet
