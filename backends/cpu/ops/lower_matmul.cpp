#include "backends/cpu/lowering.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;
namespace {

/// The result, bias and residual: values that must have one type.
llvm::SmallVector<mlir::Value> sumsOf(MatmulOp op) {
  llvm::SmallVector<mlir::Value> values = {op.getResult()};
  if (op.getBias()) values.push_back(op.getBias());
  if (op.getResidual()) values.push_back(op.getResidual());
  return values;
}

} // namespace

std::unique_ptr<fb::GemmT> Lowering::gemm(const MatmulSpec &spec) {
  auto made = std::make_unique<fb::GemmT>();
  made->m = expression({spec.m}), made->k = expression({spec.k}), made->n = expression({spec.n});
  made->transpose_a = spec.transpose_a, made->transpose_w = spec.transpose_w;
  made->bias = spec.bias, made->residual = spec.residual;
  made->activation = fb::Activation(uint8_t(spec.activation));
  made->bf16 = spec.a == Type::bf16;
  return made;
}

Result<void> Lowering::lowerThis(MatmulOp op) {
  if (panelOf(tensorOf(op.getRhs()))) return lowerPackedMatmul(op);
  LINNET_ASSIGN(const auto made, specOf(op));
  return emitPlainMatmul(op, made);
}

/// Lowers (M, K) times a weight in panels, for any M. The leading dimensions of lhs are rows, too.
Result<void> Lowering::lowerPackedMatmul(MatmulOp op) {
  const RankedTensorType rhs = tensorOf(op.getRhs());
  const PanelAttr panel = panelOf(rhs);
  if (op.getTransposeLhs()) return errorAt(op, "target cpu has no packed matmul with transpose_lhs");
  PackedMatmulSpec spec;
  LINNET_ASSIGN(spec.w, typeOf(op, op.getRhs()));
  if (!panelFits(panel, spec.w))
    return errorAt(op,
                   "target cpu supports panels of a multiple of 16 columns with interleave {} for {}, found "
                   "{}x{}, interleave {}",
                   interleaveOf(spec.w), nameOf(spec.w), panel.getKBlock(), panel.getNBlock(),
                   panel.getInterleave());
  LINNET_ASSIGN(spec.a, typeOf(op, op.getLhs()));
  LINNET_ASSIGN(const Type type, commonType(op, sumsOf(op)));
  if (type != Type::f32)
    return errorAt(op, "target cpu supports f32 with packed weights, found {}", nameOf(type));
  if (spec.a != Type::f32 && (spec.a != Type::bf16 || spec.w != Type::bf16))
    return errorAt(
        op, "target cpu supports lhs in f32, or in bf16 beside packed weights in bf16, found {} beside {}",
        nameOf(spec.a), nameOf(spec.w));
  spec.group = int64_t(op.getGroup());
  spec.int8_rows = int64_t(op.getInt8Rows());
  spec.int8_group = int64_t(op.getInt8Group());
  spec.asymmetric = op.getAsymmetric();
  if (spec.scaled() && spec.group % interleaveOf(spec.w))
    return errorAt(op, "target cpu needs groups of a multiple of {} for {}, found {}", interleaveOf(spec.w),
                   nameOf(spec.w), spec.group);
  if (spec.int8_group && (spec.int8_group % interleaveOf(spec.w) || spec.group % spec.int8_group ||
                          spec.int8_group > kMostInt8Group))
    return errorAt(
        op, "target cpu needs an int8_group of at most {} that is a multiple of {} for {}{}, found {}",
        kMostInt8Group, interleaveOf(spec.w), nameOf(spec.w),
        spec.group ? fmt::format(" and divides the group {}", spec.group) : std::string(), spec.int8_group);
  spec.k = rhs.getDimSize(panel.getTransposed() ? 1 : 0),
  spec.n = rhs.getDimSize(panel.getTransposed() ? 0 : 1);
  constexpr int64_t kMostRows = 1 << 16; // products of bytes that a 32-bit sum holds
  if (spec.scaled() && spec.k > kMostRows)
    return errorAt(op, "target cpu multiplies integers of up to {} rows, found {}", kMostRows, spec.k);
  spec.k_block = panel.getKBlock(), spec.n_block = panel.getNBlock();
  spec.bias = bool(op.getBias()), spec.residual = bool(op.getResidual());
  spec.activation = activationOf(op);
  LINNET_ASSIGN(const Operand a, rows(op, op.getLhs()));
  if (!a.dense && a.row != spec.k)
    return errorAt(op, "rows of {} elements with gaps cannot be rows of K = {}", a.row, spec.k);
  spec.a_stride = a.dense ? spec.k : a.stride;

  fb::PackedMatmulT body;
  auto ref = [](const fb::RefT &ref) { return std::make_unique<fb::RefT>(ref); };
  body.a = ref(spec.scaled() ? integerRows(op, spec, a.ref) : a.ref);
  if (spec.scaled()) spec.a_stride = spec.integerRows().bytes() / 4;
  LINNET_ASSIGN(const fb::RefT w, packed(op, op.getRhs()));
  body.w = ref(w);
  if (op.getScale()) {
    const PanelAttr layout = panelOf(tensorOf(op.getScale()));
    if (!layout || layout.getKBlock() != 1 || layout.getNBlock() != spec.n_block)
      return errorAt(op, "target cpu needs the scale in panels of 1x{}, as the weight's columns lie",
                     spec.n_block);
    LINNET_ASSIGN(const Type scale_type, typeOf(op, op.getScale()));
    if (scale_type != Type::f32)
      return errorAt(op, "target cpu supports scales in f32, found {}", nameOf(scale_type));
    LINNET_ASSIGN(const fb::RefT scale, packed(op, op.getScale()));
    body.scale = ref(scale);
    body.group = spec.group;
    body.asymmetric = spec.asymmetric;
  }
  if (spec.bias) {
    LINNET_ASSIGN(const fb::RefT bias, dense(op, op.getBias()));
    body.bias = ref(bias);
  }
  if (spec.residual) {
    LINNET_ASSIGN(const fb::RefT residual, dense(op, op.getResidual()));
    body.residual = ref(residual);
  }
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  body.out = ref(result);
  body.m = expression({extentOf(op.getLhs(), 0, tensorOf(op.getLhs()).getRank() - 1)});
  body.k = spec.k, body.n = spec.n, body.a_stride = spec.a_stride;
  body.a_bf16 = spec.a == Type::bf16;
  body.activation = fb::Activation(uint8_t(spec.activation));
  body.kernel = kernel(packedMatmulKernel(spec));
  // With several sequences, a row's result must not depend on the number of rows of the call.
  const auto function = op->getParentOfType<mlir::FunctionOpInterface>();
  const bool batches = ir::boundOf(function, "batch").value_or(1) > 1;
  body.crossover = !options.onednn                    ? UINT32_MAX
                   : spec.w == Type::bf16 && !batches ? options.bf16_crossover
                                                      : options.crossover;
  auto made = command(op);
  settle();
  made->body.Set(std::move(body));
  push(std::move(made));
  return {};
}

/// Adds a command that converts rows of lhs to integers once, instead of once for each panel. The rows are working
/// memory of the matmul.
fb::RefT Lowering::integerRows(MatmulOp op, const PackedMatmulSpec &spec, const fb::RefT &a) {
  const IntegerRows to = spec.integerRows();
  const RankedTensorType lhs = tensorOf(op.getLhs());
  const Extent m = extentOf(op.getLhs(), 0, lhs.getRank() - 1);
  const int64_t most = maxBytes(lhs, entry).value_or(0) / (to.k * elementBytes(lhs.getElementType()));
  const fb::RefT rows = workingMemory(uint64_t(most * to.bytes()));
  auto made = std::make_unique<fb::CommandT>();
  made->op = "matmul.lhs";
  made->location = backend::locationOf(op);
  made->only_for = servedBy(op);
  computes(*made, op);
  made->flops = expression({m * Extent(2 * to.k)});
  made->bytes = expression({m * Extent(4 * to.k), m * Extent(2 * to.k)});
  Call call{integerRowsKernel(to, m, spec.a_stride), {a, rows}, m};
  call.itemwise = spec.a_stride == spec.k;
  append(std::move(made), std::move(call));
  return rows;
}

Result<void> Lowering::emitPlainMatmul(Operation *op, const Described<MatmulSpec> &made) {
  const MatmulSpec &spec = made.spec;
  Call call{
      .kernel = matmulKernel(spec), .work = spec.groups * spec.m * Extent(columnBlocks(spec)), .grain = 4};
  using enum MatmulSpec::Operand;
  for (MatmulSpec::Operand operand : {a, w, bias, residual, out, scale}) {
    if (operand == scale && !spec.scaled) continue;
    // The call passes `a` for an operand that is absent. The kernel does not read it.
    const size_t at = spec.has(operand) ? positionOf(spec, operand) : 0;
    LINNET_ASSIGN(const fb::RefT ref, memoryOf(op, made.operands[at]));
    call.args.push_back(ref);
  }
  const bool library = spec.a == spec.w && (spec.w == Type::f32 || spec.w == Type::bf16);
  if (options.onednn && spec.type == Type::f32 && library && spec.groups == Extent(1)) call.gemm = gemm(spec);
  return emit(op, std::move(call));
}

} // namespace linnet::cpu
