// The lowering of each op to dispatches. backends/common/lowering.h has the parts that all backends share. Ops:
// lower.cpp, lower_groups.cpp and ops/lower_*.cpp.
#pragma once
#include "backends/common/lowering.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/lower.h"

namespace linnet::vulkan {

/// One operand of a kernel.
struct Arg {
  fb::RefT ref; ///< may begin at any element of its memory
  Type type;
  bool written = false;
  bool working = false; ///< memory that only passes data between steps, not a result
};

/// One axis of workgroups. Its count is ceil(amount / per).
struct Axis {
  Extent amount;
  uint32_t per = 1;
};

/// Large operands that are split alike and may be bound in parts. Without operands, a part is a range of units only.
struct Parts {
  std::vector<uint32_t> operands;
  Extent units;
  uint64_t unit_bytes;
  uint8_t axis = 3; ///< the axis of workgroups that counts units; 3 means none
};

constexpr int64_t kAnyAmount = int64_t(1) << 56;

/// One way to compute a command: a kernel and the kernels in `then`. It applies if amount is in [least, most].
struct Choice {
  Kernel kernel;
  std::vector<Axis> groups = {};
  std::vector<Parts> parts = {};
  Extent amount = 1;
  int64_t least = 0, most = kAnyAmount;
  std::optional<Operands> where = {}; ///< the kernel's operands, if they differ from the other choices'
  /// positions of the kernel's operands among the call's; empty means all, in order
  std::vector<uint32_t> args = {};
  std::vector<Choice> then = {}; ///< kernels that continue the work
  float tolerance = 1e-4f;       ///< the tolerance of results, see artifact.fbs
  std::string name = {};         ///< empty means the kernel's name
  const std::string &nameOf() const { return name.empty() ? kernel.name : name; }
};

/// A variant of the packed matmul and its range of rows.
struct RankedMatmul {
  MatmulVariant variant;
  int64_t least = 0, most = kAnyAmount;
};
/// Variants for kernels that select and normalize rows of a. They are for few rows, because each workgroup normalizes
/// them again.
extern const std::vector<RankedMatmul> kSelfReadingVariants;

/// Words of a texel that holds four elements (for i4, two rows of four).
uint8_t texelWords(Type type);

class Lowering : public backend::ModuleLowering {
public:
  Lowering(mlir::ModuleOp module, WeightSource &weights, BlobSink &blobs, const VulkanOptions &options)
      : ModuleLowering("vulkan", 256, module, weights, blobs), options(options) {}

private:
  Result<void> lowerOp(mlir::Operation *op) override;
  Result<void> addCode(fb::ProgramT &program) override;

  /// The operands of a dispatch. Lowering appends them in the kernel's order.
  struct Call {
    mlir::Operation *op;
    std::vector<Arg> args = {};
    std::optional<uint32_t> in_parts = {}; ///< the position of an operand that choices may split into Parts
    std::vector<mlir::Operation *> group = {}; ///< the ops of a group; empty for a single op
  };

  // groups of ops that become one command: lower_groups.cpp
  struct Emitted {
    Call call;
    std::vector<Choice> choices;
  };
  struct Group {
    std::vector<Emitted> emitted;              ///< commands that each op would emit alone
    std::vector<std::vector<uint32_t>> places; ///< positions of each command's operands among the group's
    Call call;
  };
  Result<void> lowerGroup(const std::vector<mlir::Operation *> &ops) override;
  std::vector<Choice> oneByOne(Group &group);
  Result<std::vector<Choice>> asOne(Group &group, const std::vector<mlir::Operation *> &ops);
  Result<std::vector<Choice>> readAndMultiply(Group &group, const std::vector<mlir::Operation *> &ops);
  void addArgmax(Group &group, const PackedMatmulSpec &spec, std::vector<uint32_t> &args);
  Result<std::vector<Choice>> appendAndAttend(Group &group, const std::vector<mlir::Operation *> &ops);
  void addInParts(Call &call, ir::AttentionOp op, VulkanAttentionSpec spec, std::vector<uint32_t> args,
                  std::vector<Choice> &choices);
  Result<std::vector<Choice>> embedBoth(Group &group, const std::vector<mlir::Operation *> &ops);

  Result<void> read(Call &call, mlir::Value value);
  Result<void> write(Call &call, mlir::Value value);
  Result<void> readPacked(Call &call, mlir::Value value);
  /// Appends an operand whose rows may have gaps. Returns the distance between rows, which is `row` elements if there
  /// are no gaps.
  Result<Extent> readRows(Call &call, mlir::Value value, const Extent &row);
  /// The bindings of the call's operands, or of those in `args`. With `alone`, each has its own binding, even if some
  /// devices allow fewer.
  static Operands where(const Call &call, const std::vector<uint32_t> &args = {}, bool alone = false);
  /// addWorking adds `words` words of working memory, addCounters adds `count` counters (fb::Space::counter). Both
  /// return the operand's position.
  uint32_t addWorking(Call &call, int64_t words);
  uint32_t addCounters(Call &call, int64_t count);
  Result<void> emit(const Call &call, std::vector<Choice> choices);
  std::vector<Choice> possible(std::vector<Choice> choices) const;
  Result<void> emit(const Call &call, Kernel kernel, const Extent &items, uint32_t per = kItems) {
    return emit(call, {Choice{std::move(kernel), {{items, per}}}});
  }
  /// Calls `make` with separate bindings first if operands are many, then with shared bindings for devices that allow
  /// few.
  Result<void> emitAloneOrShared(const Call &call, const std::function<Choice(bool alone)> &make);
  uint32_t shader(const Kernel &kernel);
  fb::StepT step(const Call &call, const Operands &where, const Choice &choice);

  Result<void> lowerPackedMatmul(ir::MatmulOp op);
  /// Returns the specification. Appends the operands {a, out, w, scale?, bias?, residual?} to the call.
  Result<PackedMatmulSpec> packedMatmulOf(ir::MatmulOp op, Call &call);
  std::vector<Choice> packedMatmulChoices(Call &call, PackedMatmulSpec spec,
                                          const std::vector<uint32_t> &args,
                                          const std::vector<RankedMatmul> &variants);
  std::vector<Choice> lanesChoices(Call &call, PackedMatmulSpec spec, std::vector<uint32_t> args);
  Result<void> emitPlainMatmul(mlir::Operation *op, const Described<MatmulSpec> &made);
  bool isLarge(const Extent &rows, const Extent &columns, Type type) const;
  VulkanMatmulSpec::Cut cutOf(const Call &call, const MatmulSpec &spec) const;
  std::vector<Choice> inDepth(Call &call, VulkanMatmulSpec spec);
  /// Returns an error if a head has more elements than kernels of attention support.
  static Result<void> checkHead(mlir::Operation *op, int64_t size);
  /// Returns the specification and appends its operands to the call.
  Result<VulkanAttentionSpec> attentionOf(ir::AttentionOp op, Call &call);
  std::vector<Choice> attentionChoices(const Call &call, VulkanAttentionSpec spec,
                                       const std::vector<uint32_t> &args);
  /// Returns the specification and how the table is split. Appends the operands to the call.
  Result<std::pair<VulkanEmbedSpec, Parts>> embedOf(ir::EmbedOp op, Call &call);
  bool readsRowsOf(ir::PanelAttr panel, Type type) const override;

  /// Appends a specification's operands to the call's.
  Result<void> bind(Call &call, const std::vector<KernelOperand> &operands);
  /// Emits a command of the specification's kernel.
  template <class Spec> Result<void> emitKernel(mlir::Operation *op, const Described<Spec> &made) {
    Call call{op};
    LINNET_TRY(bind(call, made.operands));
    SizedKernel kernel = kernelOf(made.spec, where(call));
    return emit(call, std::move(kernel.kernel), kernel.work.items, kernel.work.per);
  }
  /// Lowers an op to the kernel of its specification.
  template <class Op> Result<void> lowerThis(Op op) {
    if constexpr (requires { specOf(op); }) {
      LINNET_ASSIGN(const auto made, specOf(op));
      return emitKernel(op, made);
    } else {
      return errorAt(op, "target vulkan does not support this op");
    }
  }
  // The ops that need more than that.
  Result<void> lowerThis(ir::MatmulOp op);
  Result<void> lowerThis(ir::FusedOp op);
  Result<void> lowerThis(ir::AttentionOp op);
  Result<void> lowerThis(ir::EmbedOp op);
  Result<void> lowerThis(ir::SampleOp op);
  Result<void> lowerThis(ir::ConcatOp op);
  Result<void> lowerThis(ir::ContractOp op);
  Result<void> lowerThis(ir::CrossEntropyOp op);
  Result<void> lowerThis(ir::CrossEntropyGradOp op);
  Result<void> lowerThis(ir::DropoutOp op);
  Result<void> lowerThis(ir::ScatterAddOp op);
  Result<void> lowerThis(ir::AttentionGradOp op);
  Result<void> lowerThis(ir::AdamWOp op);

  // training: ops/lower_training.cpp
  /// Emits a kernel over units of `unit` floats of the operands `cut`, with `per` units for each workgroup. `make`
  /// receives whether these operands may be bound in parts.
  Result<void> emitUnits(const Call &call, const std::vector<uint32_t> &cut, const Extent &units,
                         const Extent &unit, uint32_t per,
                         const std::function<Kernel(const Operands &where, bool in_parts)> &make);
  template <class Spec>
  Result<void> emitUnits(mlir::Operation *op, const Described<Spec> &made,
                         Kernel (*make)(const Spec &, const Operands &, bool),
                         std::initializer_list<typename Spec::Operand> cut, const Extent &units,
                         const Extent &unit, uint32_t per) {
    Call call{op};
    LINNET_TRY(bind(call, made.operands));
    std::vector<uint32_t> numbers;
    for (auto operand : cut) numbers.push_back(positionOf(made.spec, operand));
    return emitUnits(call, numbers, units, unit, per,
                     [&](const Operands &where, bool in_parts) { return make(made.spec, where, in_parts); });
  }

  const VulkanOptions &options;
  std::map<std::string, uint32_t> shaders;
  std::vector<Kernel> kernels;
  std::vector<Emitted> *gathering = nullptr; ///< if set, emit() appends to it instead of emitting
};

} // namespace linnet::vulkan
