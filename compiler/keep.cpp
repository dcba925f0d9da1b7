#include "compiler/keep.h"

#include "backends/reference/ops.h"
#include "frontend/checkpoint/ggml_blocks.h"
#include "passes/Kept.h"
#include "support/error.h"
#include "support/half.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace mlir;

namespace linnet {
namespace {

using reference::Tensor;

constexpr int64_t kRoundedGroup = 32; ///< elements that share a scale in weights that are not kept exactly

bool hasQuantizedWeights(const Checkpoint &checkpoint) {
  return checkpoint.format() == "gguf" &&
         std::ranges::any_of(checkpoint.tensors(),
                             [](const TensorView &view) { return isQuantized(view.type); });
}

/// Whether integers of a tensor can be kept: of a matrix whose groups lie along one of its dimensions.
bool hasIntegers(const TensorView &view) {
  return view.shape.size() == 2 && integersOf(view.type) && !(view.transposed && view.paired_heads);
}

/// The elements in the order of the file, as the matrix that is stored there.
Result<Tensor> storedMatrix(TensorView view) {
  if (view.transposed) std::swap(view.shape[0], view.shape[1]);
  view.transposed = false, view.paired_heads = 0;
  Tensor tensor = Tensor::zeros(reference::Kind::f32, view.shape);
  LINNET_TRY(readF32(view, 0, *tensor.floats));
  return tensor;
}

/// The root mean square of value(i) - x[i] relative to that of x.
template <class Value> double relativeError(const Tensor &x, Value value) {
  double errors = 0, squares = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double exact = x.data()[i], error = value(i) - exact;
    errors += error * error, squares += exact * exact;
  }
  return errors == 0 ? 0 : std::sqrt(errors / squares);
}

double errorOfInt8(const Tensor &x) {
  const reference::ScaleForm form{.group = kRoundedGroup, .dim = 1};
  const Tensor scales = reference::quantizeScale(x, 8, form),
               integers = reference::quantize(x, scales, 8, form);
  const int64_t columns = x.shape[1], groups = scales.shape[1];
  return relativeError(x, [&](int64_t i) {
    const float scale = scales.data()[i / columns * groups + i % columns / kRoundedGroup];
    return double(integers.ints()[i]) * scale;
  });
}

/// How a tensor is kept; without a type: in f32.
struct KeptChoice {
  KeptForm form = {};
  double error = 0;

  std::string text() const {
    if (!form.type) return "f32";
    if (!form.isInteger()) return form.type.isBF16() ? "bf16" : "f16";
    return fmt::format("int{}{} in groups of {}", form.type.getIntOrFloatBitWidth(),
                       form.asymmetric ? "a" : "", form.group);
  }
};

Result<KeptChoice> choose(const TensorView &view, MLIRContext *context) {
  const int64_t dim = view.transposed ? 0 : 1;
  const Type bf16 = BFloat16Type::get(context), i8 = IntegerType::get(context, 8);
  if (view.type == StorageType::bf16) return KeptChoice{{bf16}};
  if (view.type == StorageType::f16) return KeptChoice{{Float16Type::get(context)}};
  if (!isQuantized(view.type)) return KeptChoice{};
  if (hasIntegers(view)) {
    const BlockIntegers of = *integersOf(view.type);
    return KeptChoice{{IntegerType::get(context, unsigned(of.bits)), int64_t(of.group), dim, of.minima}};
  }
  LINNET_ASSIGN(const Tensor x, storedMatrix(view));
  const auto *end = x.data() + x.size();
  if (const auto *bad = std::find_if(x.data(), end, [](float value) { return !std::isfinite(value); });
      bad != end)
    return errorf("{}: element {}: expected a finite number, found {}", view.name, bad - x.data(), *bad);
  if (const double error = errorOfInt8(x); error <= kMostKeptError)
    return KeptChoice{{i8, kRoundedGroup, dim, false, /*rounded=*/true}, error};
  const double of_bf16 =
      relativeError(x, [&](int64_t i) { return double(fromBfloat(toBfloat(x.data()[i]))); });
  if (of_bf16 <= kMostKeptError) return KeptChoice{{bf16}, of_bf16};
  const double of_f16 = relativeError(x, [&](int64_t i) { return double(fromHalf(toHalf(x.data()[i]))); });
  if (of_f16 <= kMostKeptError) return KeptChoice{{Float16Type::get(context)}, of_f16};
  return KeptChoice{}; // weights that f16 cannot hold
}

} // namespace

Result<CompileOptions> withDtype(const CompileOptions &options, const ModelInput &input) {
  const bool keeps = input.checkpoint && hasQuantizedWeights(*input.checkpoint);
  CompileOptions chosen = options;
  if (chosen.dtype.empty()) chosen.dtype = keeps ? "keep" : "f32";
  const bool listed = !input.checkpoint && input.graph_text.find(kKeptAttribute) != std::string::npos;
  if (chosen.dtype == "keep" && !keeps && !listed)
    return errorf("{}: --dtype keep is for a GGUF file with quantized weights, found {}", options.input,
                  !input.checkpoint                      ? "a graph without the attribute linnet.kept"
                  : input.checkpoint->format() == "gguf" ? "a GGUF file without any"
                                                         : "a checkpoint in " + input.checkpoint->format());
  return chosen;
}

Result<std::string> keepWeights(const Checkpoint &checkpoint, ModuleOp module) {
  struct Kind {
    size_t tensors = 0;
    double error = 0;
  };
  std::map<std::pair<std::string, std::string>, Kind> kinds; // of types in the file, and of those kept
  NamedAttrList entries;
  Builder builder(module.getContext());
  for (const TensorView &view : checkpoint.tensors()) {
    if (view.shape.size() != 2) continue; // a vector stays f32
    LINNET_ASSIGN(const KeptChoice choice, choose(view, module.getContext()));
    if (choice.form.type) entries.set(view.name, attributeOf(builder, choice.form));
    Kind &kind = kinds[{storageTypeName(view.type), choice.text()}];
    ++kind.tensors, kind.error = std::max(kind.error, choice.error);
  }
  module->setAttr(kKeptAttribute, entries.getDictionary(module.getContext()));
  std::vector<std::string> lines;
  for (const auto &[types, kind] : kinds) {
    const std::string error =
        kind.error > 0 ? fmt::format("relative error {:.1e}", kind.error) : std::string("exact");
    lines.push_back(fmt::format("{} as {} ({} {}, {})", types.first, types.second, kind.tensors,
                                kind.tensors == 1 ? "tensor" : "tensors", error));
  }
  return fmt::format("{}: --dtype keep stores {}", checkpoint.path(), fmt::join(lines, ", "));
}

Result<std::optional<WeightTensor>> keptWeight(const Checkpoint &checkpoint, std::string_view name) {
  const bool integers = name.ends_with(std::string_view(kIntegersSuffix));
  const size_t suffix = integers ? kIntegersSuffix.size() : kScalesSuffix.size();
  if (!integers && !name.ends_with(std::string_view(kScalesSuffix))) return std::optional<WeightTensor>();
  const TensorView *found = checkpoint.find(name.substr(0, name.size() - suffix));
  if (!found || !hasIntegers(*found)) return std::optional<WeightTensor>();
  TensorView view = *found;
  if (integers) {
    view.integers = true;
    auto read = [view](int64_t first, std::span<float> out) { return readF32(view, uint64_t(first), out); };
    return std::optional(WeightTensor{fb::DType::f32, view.shape, read});
  }
  std::vector<int64_t> shape = view.shape;
  shape[view.transposed ? 0 : 1] = scalesOfRow(view);
  auto scales = std::make_shared<const std::vector<float>>(readScales(view));
  auto read = [scales, label = std::string(name)](int64_t first, std::span<float> out) -> Result<void> {
    if (first < 0 || uint64_t(first) > scales->size() || out.size() > scales->size() - uint64_t(first))
      return errorf("{}: elements [{}, +{}) of {} were asked for", label, first, out.size(), scales->size());
    std::copy_n(scales->begin() + first, out.size(), out.begin());
    return {};
  };
  return std::optional(WeightTensor{fb::DType::f32, shape, read});
}

} // namespace linnet
