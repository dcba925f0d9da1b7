// Inside of lowerToCpu: what the lowering of each op works with. Ops: lower_matmul.cpp, lower_ops.cpp,
// lower_fused.cpp; weights: lower_weights.cpp.
#pragma once
#include "backends/cpu/kernels.h"
#include "backends/cpu/lower.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "passes/Plan.h"
#include "support/error.h"

#include "llvm/ADT/DenseMap.h"

#include <map>
#include <memory>
#include <vector>

namespace linnet::cpu {

/// "gpt2.mlir:12"-like or a name: what a person knows the op by.
std::string locationOf(mlir::Operation *op);
/// "h.0.attn: linnet.softmax: message".
template <class... Args>
Error errorAt(mlir::Operation *op, fmt::format_string<Args...> format, Args &&...args) {
  return errorf("{}: {}: {}", locationOf(op), op->getName().getStringRef().str(),
                fmt::format(format, std::forward<Args>(args)...));
}

/// Element types of the backend; the error names the type and the op.
Result<Type> typeOf(mlir::Operation *op, mlir::Value value);
mlir::RankedTensorType tensorOf(mlir::Value value);
/// The one type that all values have, else an error that says that the op wants one.
Result<Type> commonType(mlir::Operation *op, mlir::ValueRange values);

/// Memory of an operand: where it begins, and the elements from row to row where rows have gaps.
struct Operand {
  fb::RefT ref;
  bool dense = true;
  int64_t row = 0, stride = 0; ///< when not dense
};

/// What one op turns into: a kernel, its operands, the number of work items.
struct Call {
  KernelSource kernel;
  std::vector<fb::RefT> args;
  Extent work;
  uint32_t grain = 1;
};

class Lowering {
public:
  Lowering(mlir::ModuleOp module, WeightSource &weights, BlobSink &blobs, const CpuOptions &options)
      : module(module), source(weights), blobs(blobs), options(options) {}
  Result<fb::ProgramT> run();

  // --- shapes
  /// Product of dimensions [from, to) of a tensor; to = -1: all from there on.
  Extent extentOf(mlir::Value value, int64_t from = 0, int64_t to = -1);
  Extent dimOf(mlir::Value value, int64_t dim) { return extentOf(value, dim, dim + 1); }
  std::unique_ptr<fb::ExprT> expression(const std::vector<Extent> &terms);

  // --- operands
  /// Consecutive elements, row-major; an error where they are packed or have gaps.
  Result<fb::RefT> dense(mlir::Operation *op, mlir::Value value);
  /// Rows may have gaps.
  Result<Operand> rows(mlir::Operation *op, mlir::Value value);
  /// A weight in panels.
  Result<fb::RefT> packed(mlir::Operation *op, mlir::Value value);
  /// A weight's number, stored in the layout that its type says.
  Result<uint32_t> weight(mlir::Operation *op, mlir::Value value);

  // --- commands
  Result<void> emit(mlir::Operation *op, Call call);
  uint32_t kernel(KernelSource source);
  const CpuOptions &settings() const { return options; }

private:
  Result<void> gatherSymbols();
  Result<void> lowerEntry(mlir::func::FuncOp function);
  Result<void> addPorts(mlir::func::FuncOp function);
  Result<fb::PortT> port(mlir::func::FuncOp function, mlir::Type type, llvm::StringRef name,
                         uint64_t &io_bytes);
  Result<uint32_t> state(mlir::func::FuncOp function, mlir::Type type, llvm::StringRef name);
  std::vector<std::unique_ptr<fb::ExprT>> shapeExpressions(mlir::Type type);
  Result<void> lowerOp(mlir::Operation *op);
  Result<fb::RefT> place(mlir::Operation *op, mlir::Value base);
  Result<void> addCode(fb::ProgramT &program);
  std::unique_ptr<fb::CommandT> command(mlir::Operation *op);
  void addCost(mlir::Operation *op, fb::CommandT &command);

  Result<void> lowerMatmul(ir::MatmulOp op);
  Result<void> lowerPackedMatmul(ir::MatmulOp op);
  Result<void> lowerPlainMatmul(ir::MatmulOp op);
  Result<void> lowerFused(ir::FusedOp op);
  Result<void> lowerAttention(ir::AttentionOp op);
  Result<void> lowerMask(ir::MaskOp op);
  Result<void> lowerCacheAppend(ir::CacheAppendOp op);
  Result<void> lowerEmbed(ir::EmbedOp op);
  Result<void> lowerPositions(ir::PositionsOp op);
  Result<void> lowerLayerNorm(ir::LayerNormOp op);
  Result<void> lowerRows(mlir::Operation *op, KernelSource (*make)(const RowSpec &));
  Result<void> lowerReduce(ir::ReduceOp op);
  Result<void> lowerPool(ir::PoolOp op);
  Result<void> lowerTranspose(ir::TransposeOp op);
  Result<void> lowerSlice(ir::SliceOp op);
  Result<void> lowerConcat(ir::ConcatOp op);

  Result<fb::BlobT> storeParam(mlir::Operation *op, ir::ParamOp param, mlir::RankedTensorType stored);
  Result<fb::BlobT> storeConstant(mlir::Operation *op, ir::ConstantOp constant,
                                  mlir::RankedTensorType stored);

  mlir::ModuleOp module;
  WeightSource &source;
  BlobSink &blobs;
  const CpuOptions &options;
  fb::ProgramT program;
  std::map<std::string, uint8_t> symbols;
  std::map<std::string, uint32_t> states, kernels;
  std::map<std::string, uint32_t> weights; ///< by name and stored type
  llvm::DenseMap<mlir::Operation *, uint32_t> constants;
  std::vector<KernelSource> sources;

  mlir::func::FuncOp entry; ///< being lowered
  fb::EntryT *out = nullptr;
  std::vector<std::pair<fb::Space, uint32_t>> argument_places, result_places;
};

/// Whether the generators read elements of `type` in these panels.
inline bool panelFits(ir::PanelAttr panel, Type type) {
  return panel.getInterleave() == (type == Type::i4 ? 2 : 1) && panel.getNBlock() % 16 == 0;
}

} // namespace linnet::cpu
