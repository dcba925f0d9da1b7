// Generators of Vulkan kernels: each function describes one kernel, its operands and its work. See kernel.h
// for the conventions. Sizes are in elements, tensors row-major unless told otherwise. `where` says how the
// operands lie.
#pragma once
#include "backends/common/specs/attention.h"
#include "backends/common/specs/elementwise.h"
#include "backends/common/specs/matmul.h"
#include "backends/common/specs/moves.h"
#include "backends/common/specs/rows.h"
#include "backends/vulkan/kernel.h"

#include <functional>
#include <optional>

namespace linnet::spirv {
struct Value;
}

namespace linnet::vulkan {

class Emitter;

/// Items a workgroup computes at a time: what the number of workgroups follows from.
constexpr uint32_t kItems = 64;

using namespace backend; // specifications: they have the meaning and the operands of kernels

struct VulkanElementwiseSpec : ElementwiseSpec {
  Operands where = {};
  /// Inputs of the whole shape, and results but of reductions, are bound in parts: units are elements, or
  /// rows where they are reduced.
  bool in_parts = false;
  /// One element of each input, f32 or i32, gives one of each result.
  std::function<void(Emitter &, const std::vector<spirv::Value> &in, std::vector<spirv::Value> &out)> body =
      {};
};
/// Items are elements of the results, kItems a workgroup; with `reduce`, rows, one a workgroup.
Kernel elementwiseKernel(const VulkanElementwiseSpec &spec);

// A row a workgroup.
Kernel normKernel(const NormSpec &spec, const Operands &where = {});
Kernel softmaxKernel(const RowSpec &spec, const Operands &where = {});
Kernel argmaxKernel(const RowSpec &spec, const Operands &where = {});

// Items are elements, kItems a workgroup.
Kernel reduceKernel(const ReduceSpec &spec, const Operands &where = {});
Kernel poolKernel(const PoolSpec &spec, const Operands &where = {});
Kernel maskKernel(const MaskSpec &spec, const Operands &where = {});
Kernel positionsKernel(const PositionsSpec &spec, const Operands &where = {});
Kernel cacheAppendKernel(const CacheAppendSpec &spec, const Operands &where = {});
Kernel rotaryKernel(const RotarySpec &spec, const Operands &where = {});
Kernel copyKernel(const CopySpec &spec, const Operands &where = {});
Kernel transposeKernel(const TransposeSpec &spec, const Operands &where = {});

/// linnet.sample: a workgroup a row. Operands {logits, temperature, top_k, top_p, seed, position, copy, out}.
/// At most kMostSampled columns.
struct SampleSpec {
  Extent rows, columns;
  Type type = Type::f32;
  Operands where = {};
};
constexpr int64_t kMostSampled = 1 << 24; // that f32 counts exactly
Kernel sampleKernel(const SampleSpec &spec);

/// One workgroup per query. Invocations own keys while scores are computed, columns of the head while values are
/// summed.
struct VulkanAttentionSpec : AttentionSpec {
  Operands where = {};
  /// The kernel also appends one key and one value per sequence to the caches, at `past`. Operands {..., new key,
  /// new value, k, v}: it writes the last two.
  bool append = false;
  Extent key_stride = {},
         value_stride = {}; ///< of append: elements from a new key or value to the next sequence's
  /// Workgroups that share a query's keys, for GPUs; 1: one has them all. Operands {..., parts, counters},
  /// wordsOfPart() of working memory for each part of a query, a counter for each query.
  uint32_t parts = 1;

  int64_t wordsOfPart() const { return head_size + 2; }
  uint32_t newKey() const { return operandsOf(*this); } ///< the first operand of append
  uint32_t newValue() const { return newKey() + 1; }
  uint32_t keyCache() const { return newKey() + 2; }
  uint32_t valueCache() const { return newKey() + 3; }
  uint32_t operands() const { return operandsOf(*this) + (append ? 4 : 0) + (parts > 1 ? 2 : 0); }
};
/// So many workgroups of 64 or 128 invocations give the largest GPUs enough to do.
constexpr uint32_t kFillingGroups = 128;
/// A workgroup more has to be worth its result's way through memory.
constexpr uint32_t kLeastKeysOfPart = 128;
Kernel attentionKernel(const VulkanAttentionSpec &spec);
/// The same for drivers that run on a CPU: q, k and v are texels of four, the head size and q_stride
/// multiples of four. So are key_stride and value_stride of append.
Kernel subgroupAttentionKernel(const VulkanAttentionSpec &spec);
/// The same for prompts: a workgroup does kAttentionTile queries of a head. Workgroups: x counts tiles of
/// queries, y heads of all sequences. f32, the head size a multiple of four up to 128, and so is q_stride; q,
/// k and v begin at a multiple of four words.
constexpr uint32_t kAttentionTile = 16;
Kernel tiledAttentionKernel(const VulkanAttentionSpec &spec);

/// A matrix packed in panels (#linnet.panel). Where it is larger than what a device binds at once, a dispatch
/// has only the panels [first, first + count) that its units say.
struct PanelSpec {
  int64_t k = 0, n = 0;
  int64_t k_block = 16, n_block = 64;
  Type type = Type::f32;

  int64_t panelElements() const { return (k + k_block - 1) / k_block * k_block * n_block; }
  int64_t count() const { return (n + n_block - 1) / n_block; }
  std::string text() const;
};

/// Items are elements. A packed table is one of a matmul with transpose_rhs: k is C, n is V.
struct VulkanEmbedSpec : EmbedSpec {
  Operands where = {};
  /// A row of a second table is added: that of the id's position min(past[b] + t, limit - 1). Operands {..., past?,
  /// places, scale of places?}.
  struct Places {
    int64_t rows;
    Type table;
    bool scaled;
    int64_t group, scales;
    bool asymmetric;
    bool past;
    int64_t limit;
    Extent positions;
  };
  std::optional<Places> places = {};

  PanelSpec panelSpec() const { return {columns.factor, rows, panel->k_block, panel->n_block, table}; }
};
Kernel embedKernel(const VulkanEmbedSpec &spec);

/// matmulKernel: one element an item. The others: a tile a workgroup, x counts tiles of columns of all groups, y
/// tiles of rows; for drivers that run on a CPU with subgroups of eight, through shared memory.
struct VulkanMatmulSpec : MatmulSpec {
  /// Of the tiled kernels with one group, where a matrix is more than a device binds. `columns`: units are
  /// columns, w (transposed) is bound in parts; `rows`: units are rows, out and residual are. `depth`: k
  /// counts only some rows of w, a's columns from depth_first on, of the depth_all that it has.
  enum Cut { whole, columns, rows, depth } cut = whole;
  Extent depth_first = 0, depth_all = 0;
  Operands where = {};
};
Kernel matmulKernel(const VulkanMatmulSpec &spec);
struct MatmulTile {
  uint32_t rows, columns;
  int axis; ///< of workgroups that rows go along. On a CPU they are done one after the other, those in x
            ///< first: with the same columns of w, which then are in a cache.
};
constexpr MatmulTile kCpuMatmulTile = {16, 32, 0}, kTiledMatmulTile = {64, 64, 1};
Kernel cpuMatmulKernel(const VulkanMatmulSpec &spec);
/// How it has its operands: `alone`, with a and w as texels.
Operands cpuMatmulOperands(const VulkanMatmulSpec &spec, Operands alone);
Kernel tiledMatmulKernel(const VulkanMatmulSpec &spec);

/// out = activation(a w + bias) + residual, w in panels, a and out f32. Operands {a, out, w, scale?,
/// bias?, residual?, gain?, beta?, length?, token?, parts?, counters?}. Rows of a are a_stride elements
/// apart. Workgroups: x counts panels, y tiles of `rows` rows, z slices of a panel (and pieces of k).
struct PackedMatmulSpec {
  PanelSpec w;
  Extent m;
  int64_t a_stride = 0, group = 0;
  bool scaled = false, bias = false, residual = false;
  bool asymmetric = false; ///< two rows of scale a group, the second of minima (linnet.matmul)
  Activation activation = Activation::none;
  Type bias_type = Type::f32;
  Operands where = {};
  /// layer_norm(a) takes a's place; of a direct or lanes variant only, as what follows.
  struct Norm {
    Type type = Type::f32; ///< of gain and beta
    float epsilon = 0;
  };
  std::optional<Norm> norm = {};
  /// a, or residual, has `positions` rows a sequence: row m is the last of sequence m's first length[m].
  bool last = false, last_residual = false;
  Extent positions = 1;
  bool selects() const { return last || last_residual; }
  /// token[m] is the argmax of row m, too; not of a direct variant without subgroup and split. Working
  /// memory: kMostPartsOfPanel pairs of words for each panel of each row, and a counter a row.
  bool argmax = false;
  static constexpr int64_t kMostPartsOfPanel = 4;
};
/// A product that a device's subgroups of `subgroup` invocations compute at once, f16 factors and f32 sums
/// (VK_KHR_cooperative_matrix).
struct MatrixShape {
  uint32_t m = 16, n = 16, k = 16, subgroup = 32;
};

/// How a packed matmul is cut up.
struct MatmulVariant {
  enum Kind {
    direct, ///< an invocation owns four columns of `rows` rows; sums over k cut in `split` meet in shared
            ///< memory
    lanes,  ///< for GPUs: the lanes of a subgroup share out k (matmul/lanes.cpp), whatever size it has
    tiled,  ///< both operands through shared memory, `rows` (a multiple of 8) by a panel a workgroup
    half,   ///< as tiled, 64 rows; in 16-bit arithmetic (matmul/half_tile.h). For a k of a multiple of 4,
            ///< groups of 16
    matrix, ///< as tiled, 64 rows; four subgroups multiply matrices in f16. For a k of a multiple of 4
  };
  Kind kind = direct;
  uint32_t rows = 1;  ///< of a, in one workgroup
  uint32_t split = 1; ///< invocations along k; 1: no shared memory, no barrier
  /// Of direct and lanes: workgroups along a panel, in z, and so many times the invocations along k: for
  /// matrices of few panels, which fill no GPU.
  uint32_t slices = 1;
  /// Of lanes: workgroups along k, in z, too. Operands {..., parts, counters}: `pieces` words for each
  /// element of whole panels and tiles of rows, a counter for each slice and tile.
  uint32_t pieces = 1;
  SubgroupSizes subgroups = {16, 64}; ///< of lanes
  /// For drivers that run on a CPU with subgroups of this size (llvmpipe): operands are texels, and nothing
  /// goes from one invocation to another, which is a loop over all of them there.
  uint32_t subgroup = 0;
  MatrixShape shape = {}; ///< of a matrix variant
};
Kernel packedMatmulKernel(const PackedMatmulSpec &spec, const MatmulVariant &variant);
/// That a workgroup computes, one after the other.
uint32_t panelsOfGroup(const PackedMatmulSpec &spec, const MatmulVariant &variant);

} // namespace linnet::vulkan
