//===- linnet-keep -------------------------------------------------------------------------------------===//
//
// Makes matmuls and embeds read weights as the checkpoint stores them (Kept.h): integers with their scales, or
// floats of 16 bits. A matmul by several weights that were concatenated, and that are stored in different ways,
// becomes one matmul for each way.
//
// Preserves every value, unless a weight is `rounded` or becomes a float of 16 bits that the checkpoint does not
// have. Legal after it: as after linnet-quantize and linnet-mixed-precision.
//
//===---------------------------------------------------------------------------------------------------===//
#include "passes/Kept.h"

#include "ir/Matmul.h"
#include "ir/Shapes.h"
#include "passes/Counters.h"
#include "passes/Passes.h"
#include "passes/RewriteAction.h"
#include "passes/WeightFunctions.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace linnet {
#define GEN_PASS_DEF_KEEP
#include "passes/Passes.h.inc"

DictionaryAttr attributeOf(Builder &builder, const KeptForm &form) {
  SmallVector<NamedAttribute> entries = {builder.getNamedAttr("type", TypeAttr::get(form.type))};
  if (form.isInteger()) {
    entries.push_back(builder.getNamedAttr("group", builder.getI64IntegerAttr(form.group)));
    entries.push_back(builder.getNamedAttr("dim", builder.getI64IntegerAttr(form.dim)));
  }
  if (form.asymmetric) entries.push_back(builder.getNamedAttr("asymmetric", builder.getUnitAttr()));
  if (form.rounded) entries.push_back(builder.getNamedAttr("rounded", builder.getUnitAttr()));
  return builder.getDictionaryAttr(entries);
}

std::optional<KeptForm> keptForm(ModuleOp module, StringRef name) {
  auto kept = module->getAttrOfType<DictionaryAttr>(kKeptAttribute);
  auto entry = kept ? kept.getAs<DictionaryAttr>(name) : DictionaryAttr();
  auto type = entry ? entry.getAs<TypeAttr>("type") : TypeAttr();
  if (!type) return std::nullopt;
  auto integer = [&](StringRef key) {
    auto value = entry.getAs<IntegerAttr>(key);
    return value && value.getType().isSignlessInteger() ? value.getInt() : 0;
  };
  const KeptForm form{type.getValue(), integer("group"), integer("dim"), entry.contains("asymmetric"),
                      entry.contains("rounded")};
  const bool known =
      form.type.isBF16() || form.type.isF16() || form.type.isInteger(8) || form.type.isInteger(4);
  if (!known) return std::nullopt;
  // The attribute may come from a text editor.
  constexpr int64_t kLargestGroup = 1 << 16;
  const bool fits = form.group >= 1 && form.group <= kLargestGroup && (form.dim == 0 || form.dim == 1);
  if (form.isInteger() && (!fits || (form.asymmetric && !form.type.isInteger(4)))) return std::nullopt;
  return form;
}

std::set<std::string> keptIntegers(ModuleOp module) {
  std::set<std::string> names;
  auto kept = module->getAttrOfType<DictionaryAttr>(kKeptAttribute);
  if (!kept) return names;
  for (NamedAttribute entry : kept) {
    const StringRef name = entry.getName();
    const auto form = keptForm(module, name);
    if (!form || !form->isInteger() || form->rounded) continue;
    names.insert({name.str(), (name + kIntegersSuffix).str(), (name + kScalesSuffix).str()});
  }
  return names;
}

void addKeptForm(ModuleOp module, StringRef name, const KeptForm &form) {
  Builder builder(module.getContext());
  NamedAttrList entries;
  if (auto kept = module->getAttrOfType<DictionaryAttr>(kKeptAttribute)) entries = NamedAttrList(kept);
  entries.set(name, attributeOf(builder, form));
  module->setAttr(kKeptAttribute, entries.getDictionary(module.getContext()));
}

namespace {
using namespace ir;

RankedTensorType typeOf(Value value) { return llvm::cast<RankedTensorType>(value.getType()); }

struct Keep : impl::KeepBase<Keep> {
  void runOnOperation() override {
    if (!getOperation()->getAttrOfType<DictionaryAttr>(kKeptAttribute)) {
      getOperation().emitError("expected the attribute ") << kKeptAttribute << " with the weights to keep";
      return signalPassFailure();
    }
    WeightFunctions made(getOperation());
    functions = &made;
    SmallVector<MatmulOp> matmuls;
    forEntries([&](Operation &op) {
      if (auto matmul = llvm::dyn_cast<MatmulOp>(op)) matmuls.push_back(matmul);
    });
    for (MatmulOp matmul : matmuls) joined(matmul);
    SmallVector<OpOperand *> uses;
    forEntries([&](Operation &op) {
      if (auto matmul = llvm::dyn_cast<MatmulOp>(op); matmul && !matmul.getScale())
        uses.push_back(&matmul.getRhsMutable());
      if (auto embed = llvm::dyn_cast<EmbedOp>(op); embed && !embed.getScale())
        uses.push_back(&embed.getTableMutable());
    });
    for (OpOperand *use : uses) convert(*use);
    IRRewriter rewriter(&getContext());
    getOperation().walk([&](ParamOp param) {
      if (param->use_empty()) rewriter.eraseOp(param);
    });
  }

  void forEntries(llvm::function_ref<void(Operation &)> body) {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isEntry(function))
        for (Operation &op : function.getBody().front()) body(op);
  }

  std::optional<KeptForm> formOf(ParamOp param) { return keptForm(getOperation(), param.getName()); }
  /// Whether two weights are stored in the same way.
  bool alike(ParamOp a, ParamOp b) {
    Builder builder(&getContext());
    auto text = [&](ParamOp param) {
      auto form = formOf(param);
      return form ? attributeOf(builder, *form) : DictionaryAttr();
    };
    return text(a) == text(b);
  }

  /// The params that a weight function concatenates along dimension 0; empty if it computes anything else.
  SmallVector<ParamOp> piecesOf(ParamOp param) {
    auto function = getOperation().lookupSymbol<func::FuncOp>(param.getName());
    if (!function || function.isExternal() || !function->hasAttr("linnet.weight")) return {};
    auto concat = function.getBody().front().getTerminator()->getOperand(0).getDefiningOp<ConcatOp>();
    if (!concat || concat.getDim() != 0) return {};
    SmallVector<ParamOp> pieces;
    for (Value operand : concat.getOperands()) {
      auto piece = operand.getDefiningOp<ParamOp>();
      if (!piece) return {};
      pieces.push_back(piece);
    }
    return pieces;
  }

  /// A matmul by concatenated weights: by one weight for each run of weights that are stored alike.
  void joined(MatmulOp matmul) {
    auto param = matmul.getRhs().getDefiningOp<ParamOp>();
    if (!param || matmul.getScale()) return;
    const SmallVector<ParamOp> pieces = piecesOf(param);
    if (pieces.empty() || llvm::none_of(pieces, [&](ParamOp piece) { return bool(formOf(piece)); })) return;
    SmallVector<SmallVector<ParamOp>> runs;
    for (ParamOp piece : pieces) {
      if (runs.empty() || !alike(runs.back().front(), piece)) runs.emplace_back();
      runs.back().push_back(piece);
    }
    if (runs.size() == 1) return noteJoined(param, runs.front());
    const bool splits = matmul.getTransposeRhs() && !matmul.getBias() && !matmul.getResidual() &&
                        matmul.getActivation() == Activation::none;
    if (splits) rewrite(matmul, "split", [&] { split(matmul, runs); });
  }

  /// Records how concatenated weights are stored that are all stored alike.
  void noteJoined(ParamOp param, ArrayRef<ParamOp> pieces) {
    const auto form = formOf(pieces.front());
    if (!form) return;
    if (form->isInteger())
      joined_pieces[param.getName()] = SmallVector<ParamOp>(pieces);
    else
      addKeptForm(getOperation(), param.getName(), *form);
  }

  void split(MatmulOp matmul, ArrayRef<SmallVector<ParamOp>> runs) {
    IRRewriter rewriter(&getContext());
    SmallVector<Value> products;
    for (ArrayRef<ParamOp> run : runs) {
      rewriter.setInsertionPoint(matmul);
      ParamOp weight = copy(rewriter, run.front());
      if (run.size() > 1) {
        SmallVector<Value> pieces = {weight};
        for (ParamOp piece : run.drop_front()) pieces.push_back(copy(rewriter, piece));
        weight = functions->replace(rewriter, rewriter.create<ConcatOp>(matmul.getLoc(), pieces, 0));
        noteJoined(weight, piecesOf(weight));
        rewriter.setInsertionPoint(matmul);
      }
      products.push_back(
          cloneWith(rewriter, matmul.getLoc(), matmul, [&](MatmulParts &parts) { parts.rhs = weight; }));
    }
    const int64_t last = typeOf(matmul.getResult()).getRank() - 1;
    for (Operation *user : llvm::make_early_inc_range(matmul->getUsers()))
      if (auto slice = llvm::dyn_cast<SliceOp>(user)) sliceOf(rewriter, slice, products, last);
    if (matmul->use_empty()) return rewriter.eraseOp(matmul);
    rewriter.setInsertionPoint(matmul);
    rewriter.replaceOpWithNewOp<ConcatOp>(matmul, products, last);
  }

  /// Makes a slice of the whole read the one product that has it.
  void sliceOf(RewriterBase &rewriter, SliceOp slice, ArrayRef<Value> products, int64_t last) {
    if (int64_t(slice.getDim()) != last) return;
    int64_t offset = slice.getOffset();
    const int64_t size = slice.getSize();
    for (Value product : products) {
      const int64_t width = typeOf(product).getDimSize(last);
      if (offset >= 0 && offset + size <= width) {
        rewriter.setInsertionPoint(slice);
        if (size == width) return rewriter.replaceOp(slice, product);
        rewriter.replaceOpWithNewOp<SliceOp>(slice, product, last, offset, size);
        return;
      }
      offset -= width;
    }
  }

  ParamOp copy(RewriterBase &rewriter, ParamOp param) {
    return rewriter.create<ParamOp>(param.getLoc(), param.getType(), param.getNameAttr());
  }

  struct Matrix {
    KeptForm form;
    Value integers, scales;
  };
  /// The integers of a weight, or nothing if they do not exist.
  std::optional<Matrix> integersOf(RewriterBase &rewriter, ParamOp param) {
    rewriter.setInsertionPointAfter(param);
    if (auto found = joined_pieces.find(param.getName()); found != joined_pieces.end()) {
      SmallVector<Value> integers, scales;
      Matrix joined;
      for (ParamOp piece : found->second) {
        ParamOp here = copy(rewriter, piece);
        auto matrix = integersOf(rewriter, here);
        if (!matrix || matrix->form.dim == 0) return std::nullopt; // the scales would have to be interleaved
        rewriter.setInsertionPointAfter(matrix->integers.getDefiningOp());
        integers.push_back(matrix->integers), scales.push_back(matrix->scales);
        joined.form = matrix->form;
      }
      joined.integers = functions->replace(rewriter, rewriter.create<ConcatOp>(param.getLoc(), integers, 0));
      rewriter.setInsertionPointAfter(joined.integers.getDefiningOp());
      joined.scales = functions->replace(rewriter, rewriter.create<ConcatOp>(param.getLoc(), scales, 0));
      return joined;
    }
    auto form = formOf(param);
    if (!form || !form->isInteger() || form->dim > 1) return std::nullopt;
    Matrix matrix{*form, {}, {}};
    RankedTensorType type = param.getType();
    SmallVector<int64_t> shape(type.getShape());
    const int64_t groups = (shape[form->dim] + form->group - 1) / form->group;
    shape[form->dim] = groups * (form->asymmetric ? 2 : 1);
    const auto bits = int64_t(form->type.getIntOrFloatBitWidth());
    Location loc = param.getLoc();
    if (form->rounded) {
      auto scale =
          rewriter.create<QuantizeScaleOp>(loc, param, bits, form->dim, form->group, form->asymmetric);
      matrix.scales = functions->replace(rewriter, scale);
      rewriter.setInsertionPointAfter(matrix.scales.getDefiningOp());
      auto integers = rewriter.create<QuantizeOp>(loc, param, matrix.scales, bits, form->dim, form->group,
                                                  form->asymmetric);
      matrix.integers = functions->replace(rewriter, integers);
      return matrix;
    }
    auto named = [&](StringRef suffix) { return rewriter.getStringAttr(param.getName() + suffix); };
    matrix.scales = rewriter.create<ParamOp>(loc, RankedTensorType::get(shape, type.getElementType()),
                                             named(kScalesSuffix));
    matrix.integers = rewriter.create<ParamOp>(loc, RankedTensorType::get(type.getShape(), form->type),
                                               named(kIntegersSuffix));
    return matrix;
  }

  void convert(OpOperand &use) {
    Operation *user = use.getOwner();
    auto param = use.get().getDefiningOp<ParamOp>();
    auto matmul = llvm::dyn_cast<MatmulOp>(user);
    if (!param || param.getType().getRank() != 2 || !param.getType().getElementType().isF32()) return;
    if (!formOf(param) && !joined_pieces.contains(param.getName())) return;
    rewrite(user, "keep", [&] {
      IRRewriter rewriter(&getContext());
      const auto matrix = integersOf(rewriter, param);
      // Groups of another dimension than the one that is summed over have no kernels: such a weight stays f32.
      if (!matrix || matrix->form.dim != (matmul && !matmul.getTransposeRhs() ? 0 : 1)) return;
      auto &counters = getAnalysis<Counters>();
      const auto &[form, integers, scales] = *matrix;
      rewriter.setInsertionPoint(user);
      if (matmul) {
        rewriter.replaceOp(matmul, cloneWith(rewriter, matmul.getLoc(), matmul, [&](MatmulParts &parts) {
                             parts.rhs = integers, parts.scale = scales;
                             parts.group = form.group, parts.asymmetric = form.asymmetric;
                           }));
        counters.add("linnet-keep", "matmuls");
      } else {
        auto embed = llvm::cast<EmbedOp>(user);
        rewriter.replaceOpWithNewOp<EmbedOp>(embed, integers, embed.getIds(), scales, form.group,
                                             form.asymmetric);
        counters.add("linnet-keep", "tables");
      }
    });
  }

  WeightFunctions *functions = nullptr;
  llvm::StringMap<SmallVector<ParamOp>> joined_pieces; ///< of concatenations, all integers of one form
};

} // namespace
} // namespace linnet
