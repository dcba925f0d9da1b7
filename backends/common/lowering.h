// The lowering of a planned module to a Program, as far as all backends share it: numbers of dimensions, ports and
// states, memory of operands, weights, costs. A backend derives, lowers each op (lowerOp), and adds its code (addCode).
// Entries: lower_entry.cpp, weights: lower_weights.cpp.
#pragma once
#include "backends/common/specs/from_ir.h"
#include "backends/common/weights.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "passes/Plan.h"
#include "support/error.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>
#include <memory>
#include <vector>

namespace linnet::backend {

inline Activation activationOf(ir::MatmulOp op) { return Activation(uint32_t(op.getActivation())); }

/// Calls f(op) with an op of the dialect as its own class, or with the Operation * if it is another op.
template <class F> auto withOp(mlir::Operation *op, F f) {
  return llvm::TypeSwitch<mlir::Operation *, decltype(f(op))>(op)
      .template Case<
#define GET_OP_LIST
#include "ir/LinnetOps.cpp.inc"
          >(f)
      .Default(f);
}

/// Memory of an operand. If its rows have gaps, `row` is a row's number of elements, and `stride` the distance from row
/// to row.
struct Operand {
  fb::RefT ref;
  bool dense = true;
  int64_t row = 0, stride = 0; ///< in elements; valid if not dense
};

class ModuleLowering : protected OpSpecs {
public:
  /// Ports and states are aligned to `alignment` bytes.
  ModuleLowering(std::string target, uint64_t alignment, mlir::ModuleOp module, WeightSource &weights,
                 BlobSink &blobs)
      : OpSpecs(std::move(target)), alignment(alignment), module(module), source(weights), blobs(blobs) {}
  virtual ~ModuleLowering() = default;
  Result<fb::ProgramT> run();

protected:
  virtual Result<void> lowerOp(mlir::Operation *op) = 0;
  /// Lowers ops that linnet-join marked as a group, in order. By default each op becomes a command.
  virtual Result<void> lowerGroup(const std::vector<mlir::Operation *> &group);
  /// Called after all entries are lowered.
  virtual Result<void> addCode(fb::ProgramT &program) = 0;

  // --- shapes
  std::unique_ptr<fb::ExprT> expression(const std::vector<Extent> &terms);

  // --- operands
  /// The memory of consecutive elements, row-major. An error if the operand is packed or has gaps.
  Result<fb::RefT> dense(mlir::Operation *op, mlir::Value value);
  /// The memory of an operand whose rows may have gaps.
  Result<Operand> rows(mlir::Operation *op, mlir::Value value);
  /// The memory of a kernel's operand, as the kernel reads it.
  Result<fb::RefT> memoryOf(mlir::Operation *op, const KernelOperand &operand);
  /// The memory of a weight in panels.
  Result<fb::RefT> packed(mlir::Operation *op, mlir::Value value);
  /// The index of a weight, stored in the layout of its type.
  Result<uint32_t> weight(mlir::Operation *op, mlir::Value value);

  // --- commands
  /// Makes a command with the op's name, location and cost. The caller sets the body and calls push.
  std::unique_ptr<fb::CommandT> command(mlir::Operation *op);
  /// Makes the command of a group. It has the name of the group's matmul, or of its last op, and the cost of all ops.
  std::unique_ptr<fb::CommandT> command(const std::vector<mlir::Operation *> &group);
  /// The outputs of the entry that need what `op` computes. Empty if a state needs it, too.
  std::vector<uint16_t> servedBy(mlir::Operation *op) const { return served.lookup(op); }
  void push(std::unique_ptr<fb::CommandT> command) { out->commands.push_back(std::move(command)); }

  /// Allocates arena memory that only the commands of the current op or group use. It overlaps no value that is alive
  /// there or at the previous command. A second request of the same op or group may get the same memory. The op's
  /// attribute linnet.working lists it (passes/Plan.h).
  fb::RefT workingMemory(uint64_t bytes);
  /// Records that `command` computes `op`, for a command that command() did not make.
  void computes(const fb::CommandT &command, mlir::Operation *op) { ops_of[&command].push_back(op); }
  /// Records that `into` computes the ops of `from`, which the caller drops.
  void joinCommands(const fb::CommandT &from, const fb::CommandT &into);

  const uint64_t alignment;
  mlir::ModuleOp module;
  WeightSource &source;
  BlobSink &blobs;
  fb::ProgramT program;
  mlir::func::FuncOp entry; ///< the entry that is being lowered

private:
  Result<void> gatherSymbols();
  Result<void> lowerEntry(mlir::func::FuncOp function);
  Result<void> lower(mlir::Operation *op);
  Result<void> addPorts(mlir::func::FuncOp function);
  void findServed();
  Result<fb::PortT> port(mlir::func::FuncOp function, mlir::Type type, llvm::StringRef name,
                         uint64_t &io_bytes);
  Result<uint32_t> state(mlir::func::FuncOp function, mlir::Type type, llvm::StringRef name);
  std::vector<std::unique_ptr<fb::ExprT>> shapeExpressions(mlir::Type type);
  Result<fb::RefT> place(mlir::Operation *op, mlir::Value base);
  struct Cost {
    std::vector<Extent> bytes, flops;
  };
  void addCost(mlir::Operation *op, Cost &cost);
  Result<fb::BlobT> storeParam(mlir::Operation *op, ir::ParamOp param, mlir::RankedTensorType stored);
  Result<fb::BlobT> storeConstant(mlir::Operation *op, ir::ConstantOp constant,
                                  mlir::RankedTensorType stored);

  std::map<std::string, uint32_t> states;
  std::map<std::string, uint32_t> weights; ///< by name and stored type
  llvm::DenseMap<mlir::Operation *, uint32_t> constants;
  fb::EntryT *out = nullptr;
  std::vector<std::pair<fb::Space, uint32_t>> argument_places, result_places;
  /// the outputs that need an op, for ops that no state needs
  llvm::DenseMap<mlir::Operation *, std::vector<uint16_t>> served;

  struct Slot {
    int first, last; ///< positions of the first and the last op that use it
    uint64_t offset, size;
  };
  void findSlots();
  void finishPlan();
  std::vector<Slot> slots;                             ///< the slots of the entry's plan
  llvm::DenseMap<mlir::Operation *, int> op_positions; ///< positions of ops in the entry
  std::vector<mlir::Operation *> current;              ///< the op or group that is being lowered
  int position_before = 0; ///< the position of the first op of the previous command
  std::map<const fb::CommandT *, std::vector<mlir::Operation *>> ops_of;
};

} // namespace linnet::backend
