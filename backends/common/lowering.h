// What every backend does the same way when it lowers a planned module to a Program: dimensions' numbers,
// ports and states, where operands lie, weights, costs. A backend derives, says what each op becomes
// (lowerOp), and adds its code. Entries: lower_entry.cpp, weights: lower_weights.cpp.
#pragma once
#include "backends/common/specs/from_ir.h"
#include "backends/common/weights.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "passes/Plan.h"
#include "support/error.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

#include <map>
#include <memory>
#include <vector>

namespace linnet::backend {

inline Activation activationOf(ir::MatmulOp op) { return Activation(uint32_t(op.getActivation())); }

/// Memory of an operand: where it begins, and the elements from row to row where rows have gaps.
struct Operand {
  fb::RefT ref;
  bool dense = true;
  int64_t row = 0, stride = 0; ///< when not dense
};

class ModuleLowering : protected OpSpecs {
public:
  /// `alignment` of ports and states, in bytes.
  ModuleLowering(std::string target, uint64_t alignment, mlir::ModuleOp module, WeightSource &weights,
                 BlobSink &blobs)
      : OpSpecs(std::move(target)), alignment(alignment), module(module), source(weights), blobs(blobs) {}
  virtual ~ModuleLowering() = default;
  Result<fb::ProgramT> run();

protected:
  virtual Result<void> lowerOp(mlir::Operation *op) = 0;
  /// Ops that linnet-join marked, in order: one by one, unless the backend knows better.
  virtual Result<void> lowerGroup(const std::vector<mlir::Operation *> &group);
  /// Called when all entries are lowered.
  virtual Result<void> addCode(fb::ProgramT &program) = 0;

  // --- shapes
  std::unique_ptr<fb::ExprT> expression(const std::vector<Extent> &terms);

  // --- operands
  /// Consecutive elements, row-major; an error where they are packed or have gaps.
  Result<fb::RefT> dense(mlir::Operation *op, mlir::Value value);
  /// Rows may have gaps.
  Result<Operand> rows(mlir::Operation *op, mlir::Value value);
  /// The memory of a kernel's operand, as the kernel reads it.
  Result<fb::RefT> memoryOf(mlir::Operation *op, const KernelOperand &operand);
  /// A weight in panels.
  Result<fb::RefT> packed(mlir::Operation *op, mlir::Value value);
  /// A weight's number, stored in the layout that its type says.
  Result<uint32_t> weight(mlir::Operation *op, mlir::Value value);

  // --- commands
  /// A command with its op, location and cost; the caller sets the body and calls push.
  std::unique_ptr<fb::CommandT> command(mlir::Operation *op);
  /// Of a group: its matmul's, else the last op's, with the cost of all.
  std::unique_ptr<fb::CommandT> command(const std::vector<mlir::Operation *> &group);
  /// The outputs of the entry that alone need what `op` computes; none: a state needs it, too.
  std::vector<uint16_t> servedBy(mlir::Operation *op) const { return served.lookup(op); }
  void push(std::unique_ptr<fb::CommandT> command) { out->commands.push_back(std::move(command)); }

  /// Memory of the arena for the commands of the op or group that is being lowered, and for nothing else. No
  /// value that is alive there, or at the command before, lies in it. A second request of the same op or
  /// group may get the same memory. Noted on the op as linnet.working (passes/Plan.h).
  fb::RefT workingMemory(uint64_t bytes);
  /// Notes which ops the command computes, for a command that command() did not make.
  void computes(const fb::CommandT &command, mlir::Operation *op) { ops_of[&command].push_back(op); }
  /// Ops of `from`, which goes away, are computed by `into`.
  void joinCommands(const fb::CommandT &from, const fb::CommandT &into);

  const uint64_t alignment;
  mlir::ModuleOp module;
  WeightSource &source;
  BlobSink &blobs;
  fb::ProgramT program;
  mlir::func::FuncOp entry; ///< being lowered

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
  llvm::DenseMap<mlir::Operation *, std::vector<uint16_t>> served; ///< outputs that alone need an op

  struct Slot {
    int first, last; ///< positions of ops that it is in use for, both included
    uint64_t offset, size;
  };
  void findSlots();
  void finishPlan();
  std::vector<Slot> slots;                             ///< of the entry's plan
  llvm::DenseMap<mlir::Operation *, int> op_positions; ///< in the entry
  std::vector<mlir::Operation *> current;              ///< op or group that is being lowered
  int position_before = 0;                             ///< of the first op of the command before
  std::map<const fb::CommandT *, std::vector<mlir::Operation *>> ops_of;
};

} // namespace linnet::backend
