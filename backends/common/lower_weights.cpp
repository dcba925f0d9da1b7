// Converts, packs and streams weights and constants into the artifact. Each is stored once for each type and layout.
#include "backends/common/lowering.h"
#include "backends/common/pack.h"

#include "mlir/IR/DialectResourceBlobManager.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace mlir;

namespace linnet::backend {
using namespace ir;
namespace {

constexpr int64_t kChunkElements = 1 << 18;
constexpr float kTooLargeForHalf = 65520; ///< the smallest number that f16 rounds to infinity

PackedLayout layoutOf(PanelAttr panel) {
  return {panel.getKBlock(), panel.getNBlock(), panel.getInterleave(), panel.getTransposed()};
}

Result<PackedType> packedTypeOf(Operation *op, mlir::Type element) {
  if (element.isF32()) return PackedType::f32;
  if (element.isF16()) return PackedType::f16;
  if (element.isBF16()) return PackedType::bf16;
  if (element.isInteger(8)) return PackedType::i8;
  if (element.isInteger(4)) return PackedType::i4;
  return errorAt(op, "weights are stored as f32, f16, bf16, i8 or i4");
}

std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return "(" + text + ")";
}

/// Checks that rounding to f16 makes no finite element infinite. The largest finite f16 is 65,504.
ReadElements withinHalf(ReadElements read, const std::string &name) {
  return [read = std::move(read), name](int64_t first, std::span<float> out) -> Result<void> {
    LINNET_TRY(read(first, out));
    float largest = 0;
    for (float value : out) largest = std::max(largest, std::isinf(value) ? 0.f : std::fabs(value));
    if (largest < kTooLargeForHalf) return {};
    return errorf("{}: {} is beyond the range of f16, up to 65504; expected another --dtype", name, largest);
  };
}

/// Appends the elements of a float matrix or tensor to the open blob, in the type and layout of `stored`.
Result<void> streamFloats(Operation *op, RankedTensorType stored, const ReadElements &read, BlobSink &blobs) {
  LINNET_ASSIGN(const PackedType type, packedTypeOf(op, stored.getElementType()));
  if (PanelAttr panel = panelOf(stored)) {
    const PackedLayout layout = layoutOf(panel);
    const int64_t k = stored.getDimSize(layout.transposed ? 1 : 0),
                  n = stored.getDimSize(layout.transposed ? 0 : 1);
    return packPanels(layout, k, n, type, read,
                      [&](std::span<const std::byte> bytes) { return blobs.append(bytes); });
  }
  std::vector<float> chunk;
  std::vector<std::byte> bytes;
  for (int64_t at = 0, total = stored.getNumElements(); at < total; at += kChunkElements) {
    chunk.resize(std::min(kChunkElements, total - at));
    LINNET_TRY(read(at, chunk));
    bytes.resize(bytesOf(type, int64_t(chunk.size())));
    convert(chunk, type, bytes.data());
    LINNET_TRY(blobs.append(bytes));
  }
  return {};
}

/// Raw little-endian elements of a constant. A splat has one element, which stands for all.
Result<llvm::ArrayRef<char>> rawData(Operation *op, ConstantOp constant) {
  if (auto dense = llvm::dyn_cast<DenseElementsAttr>(constant.getValue())) return dense.getRawData();
  if (auto resource = llvm::dyn_cast<DenseResourceElementsAttr>(constant.getValue()))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob()) return blob->getData();
  return errorAt(op, "expected a dense constant");
}

} // namespace

Result<fb::BlobT> ModuleLowering::storeParam(Operation *op, ParamOp param, RankedTensorType stored) {
  const std::string name = param.getName().str();
  LINNET_TRY(packedTypeOf(param, stored.getElementType()));
  LINNET_ASSIGN(const WeightTensor tensor, source.open(name));
  if (llvm::ArrayRef<int64_t>(tensor.shape) != stored.getShape())
    return errorAt(param, "{}: expected shape {}, the checkpoint has {}", name, shapeText(stored.getShape()),
                   shapeText(tensor.shape));
  LINNET_TRY(blobs.begin());
  const bool half = stored.getElementType().isF16();
  LINNET_TRY(streamFloats(op, stored, half ? withinHalf(tensor.read, name) : tensor.read, blobs));
  return blobs.end();
}

Result<fb::BlobT> ModuleLowering::storeConstant(Operation *op, ConstantOp constant, RankedTensorType stored) {
  LINNET_ASSIGN(const llvm::ArrayRef<char> raw, rawData(op, constant));
  if (stored.getElementType().isInteger(4))
    return errorAt(constant, "target {} takes i4 from weights only", target);
  const int64_t width = elementBytes(stored.getElementType()), total = stored.getNumElements();
  const bool splat = int64_t(raw.size()) == width;
  if (!splat && int64_t(raw.size()) != total * width)
    return errorAt(constant, "expected {} bytes of data, found {}", total * width, raw.size());
  LINNET_TRY(blobs.begin());
  if (panelOf(stored)) {
    LINNET_ASSIGN(const PackedType type, packedTypeOf(constant, stored.getElementType()));
    const auto read = [&](int64_t first, std::span<float> out) -> Result<void> {
      if (first < 0 || first + int64_t(out.size()) > total)
        return errorf("constant: elements beyond its end");
      const auto *bytes = reinterpret_cast<const std::byte *>(raw.data());
      if (!splat)
        convertBack(type, bytes + first * width, out);
      else
        for (float &value : out) convertBack(type, bytes, {&value, 1});
      return {};
    };
    LINNET_TRY(streamFloats(op, stored, read, blobs));
  } else if (!splat) {
    LINNET_TRY(blobs.append(std::as_bytes(std::span(raw.data(), raw.size()))));
  } else {
    std::vector<char> chunk;
    for (int64_t i = 0; i < std::min(total, kChunkElements); ++i)
      chunk.insert(chunk.end(), raw.begin(), raw.end());
    for (int64_t at = 0; at < total; at += kChunkElements)
      LINNET_TRY(
          blobs.append(std::as_bytes(std::span(chunk)).first(std::min(kChunkElements, total - at) * width)));
  }
  return blobs.end();
}

Result<fb::RefT> ModuleLowering::packed(Operation *op, mlir::Value value) {
  LINNET_ASSIGN(const uint32_t number, weight(op, value));
  fb::RefT ref;
  ref.space = fb::Space::weight, ref.index = number, ref.size = program.weights[number]->blob->size;
  return ref;
}

Result<uint32_t> ModuleLowering::weight(Operation *op, mlir::Value value) {
  const RankedTensorType stored = tensorOf(value);
  Operation *definition = value.getDefiningOp();
  if (auto relayout = llvm::dyn_cast_or_null<RelayoutOp>(definition))
    definition = relayout.getOperand().getDefiningOp();
  auto param = llvm::dyn_cast_or_null<ParamOp>(definition);
  auto constant = llvm::dyn_cast_or_null<ConstantOp>(definition);
  if (!param && !constant) return errorAt(op, "target {} reads panels of weights and constants only", target);
  if (!stored.hasStaticShape()) return errorAt(op, "a weight has a static shape, found {}", describe(stored));
  std::string type;
  llvm::raw_string_ostream(type) << stored;
  const std::string name =
      param ? param.getName().str()
            : fmt::format("constant.{}",
                          constants.try_emplace(definition, uint32_t(constants.size())).first->second);
  const std::string key = name + "\n" + type;
  if (auto found = weights.find(key); found != weights.end()) return found->second;
  auto blob = param ? storeParam(op, param, stored) : storeConstant(op, constant, stored);
  if (!blob) return blob.error();
  auto made = std::make_unique<fb::WeightT>();
  made->name = name;
  LINNET_ASSIGN(const Type element, typeOf(op, value));
  made->dtype = fb::DType(uint8_t(element));
  made->shape.assign(stored.getShape().begin(), stored.getShape().end());
  if (PanelAttr panel = panelOf(stored)) made->layout = layoutOf(panel).text();
  made->blob = std::make_unique<fb::BlobT>(*blob);
  program.weights.push_back(std::move(made));
  return weights[key] = uint32_t(program.weights.size() - 1);
}

} // namespace linnet::backend
