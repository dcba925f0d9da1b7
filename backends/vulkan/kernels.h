// Generators of Vulkan kernels. Each comment describes a kernel's operands and work. kernel.h has the conventions, and
// kernelOf(), which makes the kernels that have no declaration here.
// Sizes are in elements; tensors are row-major unless a comment says otherwise. `where` describes the operands' memory.
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

using namespace backend; // the specifications, which describe the formula and the operands of each kernel

struct VulkanElementwiseSpec : ElementwiseSpec {
  Operands where = {};
  /// Operands of the whole shape, except results of reductions, are bound in parts. Units are elements, or rows if
  /// there is a reduction.
  bool in_parts = false;
  /// Computes one element of each result from one element of each input. Elements are f32 or i32.
  std::function<void(Emitter &, const std::vector<spirv::Value> &in, std::vector<spirv::Value> &out)> body =
      {};
};
/// Items are elements of the results, kItems for each workgroup. With `reduce`, a workgroup computes one row.
Kernel elementwiseKernel(const VulkanElementwiseSpec &spec);

/// linnet.sample. A workgroup computes one row. Operands {logits, temperature, top_k, top_p, seed, position, copy,
/// out}. At most kMostSampled columns.
struct SampleSpec {
  Extent rows, columns;
  Type type = Type::f32;
  Operands where = {};
};
constexpr int64_t kMostSampled = 1 << 24; // f32 represents counts up to this exactly
Kernel sampleKernel(const SampleSpec &spec);

/// A workgroup computes one query. Invocations own keys while they compute scores, and columns of the head while they
/// sum values.
struct VulkanAttentionSpec : AttentionSpec {
  Operands where = {};
  /// The kernel also appends one key and one value of each sequence to the caches, at `past`. Operands {..., new key,
  /// new value, k, v}; it writes the last two.
  bool append = false;
  Extent key_stride = {},
         value_stride = {}; ///< for append: elements from a new key or value to the next sequence's
  /// Workgroups that share a query's keys, for GPUs. 1 means that one workgroup has all keys. Operands {..., parts,
  /// counters}: wordsOfPart() words of working memory for each part of a query, and one counter for each query.
  uint32_t parts = 1;

  int64_t wordsOfPart() const { return head_size + 2; }
  uint32_t newKey() const { return operandsOf(*this); } ///< the first operand that append adds
  uint32_t newValue() const { return newKey() + 1; }
  uint32_t keyCache() const { return newKey() + 2; }
  uint32_t valueCache() const { return newKey() + 3; }
  uint32_t operands() const { return operandsOf(*this) + (append ? 4 : 0) + (parts > 1 ? 2 : 0); }
};
/// The number of workgroups of 64 or 128 invocations that occupies the largest GPUs.
constexpr uint32_t kFillingGroups = 128;
/// The fewest keys for which another workgroup is faster: its result passes through memory.
constexpr uint32_t kLeastKeysOfPart = 128;
Kernel attentionKernel(const VulkanAttentionSpec &spec);
/// The same for drivers that run on a CPU. q, k and v are texels of four elements. The head size and all strides are
/// multiples of four.
Kernel subgroupAttentionKernel(const VulkanAttentionSpec &spec);
/// The same for prompts. A workgroup computes kAttentionTile queries of a head. Workgroups: x counts tiles of queries,
/// y counts heads of all sequences. Elements are f32. The head size is a multiple of four up to 128, and q_stride is a
/// multiple of four. q, k and v begin at a multiple of four words.
constexpr uint32_t kAttentionTile = 16;
Kernel tiledAttentionKernel(const VulkanAttentionSpec &spec);

/// A matrix packed in panels (#linnet.panel). If it is larger than one binding, a dispatch has only the panels [first,
/// first + count) of its units.
struct PanelSpec {
  int64_t k = 0, n = 0;
  int64_t k_block = 16, n_block = 64;
  Type type = Type::f32;

  int64_t panelElements() const { return (k + k_block - 1) / k_block * k_block * n_block; }
  int64_t count() const { return (n + n_block - 1) / n_block; }
  std::string text() const;
};

/// Items are elements. A packed table is the operand of a matmul with transpose_rhs: k is C, n is V.
struct VulkanEmbedSpec : EmbedSpec {
  Operands where = {};
  /// Adds a row of a second table, the row of the position min(past[b] + t, limit - 1). Operands {..., past?, places,
  /// scale of places?}.
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

/// matmulKernel computes one element for each item. The other kernels compute a tile in each workgroup. x counts tiles
/// of columns of all groups, y counts tiles of rows. cpuMatmulKernel is for drivers that run on a CPU with subgroups of
/// eight; tiledMatmulKernel uses shared memory.
struct VulkanMatmulSpec : MatmulSpec {
  /// How a matrix that exceeds one binding is split, for the tiled kernels with one group. `columns`: units are
  /// columns, and w (transposed) is bound in parts. `rows`: units are rows, and out and residual are bound in parts.
  /// `depth`: k counts only some rows of w. They belong to a's columns from depth_first on, and a has depth_all
  /// columns.
  enum Cut { whole, columns, rows, depth } cut = whole;
  Extent depth_first = 0, depth_all = 0;
  Operands where = {};
};
Kernel matmulKernel(const VulkanMatmulSpec &spec);
struct MatmulTile {
  uint32_t rows, columns;
  /// The axis of workgroups that counts rows. A CPU runs workgroups one after another, x first. With rows in x, they
  /// share columns of w, which are then cached.
  int axis;
};
constexpr MatmulTile kCpuMatmulTile = {16, 32, 0}, kTiledMatmulTile = {64, 64, 1};
Kernel cpuMatmulKernel(const VulkanMatmulSpec &spec);
/// The operands of cpuMatmulKernel: those of `alone`, with a and w as texels.
Operands cpuMatmulOperands(const VulkanMatmulSpec &spec, Operands alone);
Kernel tiledMatmulKernel(const VulkanMatmulSpec &spec);

/// out = activation(a w + bias) + residual, with w in panels, a and out in f32. Operands {a, out, w, scale?, bias?,
/// residual?, gain?, beta?, length?, token?, parts?, counters?}. Rows of a are a_stride elements apart. Workgroups: x
/// counts panels, y counts tiles of `rows` rows, z counts slices of a panel (and pieces of k).
struct PackedMatmulSpec {
  PanelSpec w;
  Extent m;
  int64_t a_stride = 0, group = 0;
  bool scaled = false, bias = false, residual = false;
  bool asymmetric = false; ///< a group has two rows of scale, the second one of minima (see linnet.matmul)
  Activation activation = Activation::none;
  Type bias_type = Type::f32;
  Operands where = {};
  /// If set, layer_norm(a) is multiplied instead of a. Only direct and lanes variants support this and the fields
  /// below.
  struct Norm {
    Type type = Type::f32; ///< the type of gain and beta
    float epsilon = 0;
  };
  std::optional<Norm> norm = {};
  /// a, or residual, has `positions` rows for each sequence. Row m is row length[m] - 1 of sequence m.
  bool last = false, last_residual = false;
  Extent positions = 1;
  bool selects() const { return last || last_residual; }
  /// The kernel also writes token[m], the argmax of row m. Direct variants need a subgroup or split > 1 for it. Working
  /// memory: kMostPartsOfPanel pairs of words for each panel of each row, and one counter for each row.
  bool argmax = false;
  static constexpr int64_t kMostPartsOfPanel = 4;
};
/// A matrix product that a subgroup of `subgroup` invocations computes as one operation, with f16 factors and f32 sums
/// (VK_KHR_cooperative_matrix).
struct MatrixShape {
  uint32_t m = 16, n = 16, k = 16, subgroup = 32;
};

/// The work distribution of a packed matmul.
struct MatmulVariant {
  enum Kind {
    /// An invocation owns four columns of `rows` rows. k is split over `split` invocations, whose sums meet in shared
    /// memory.
    direct,
    lanes, ///< for GPUs: the lanes of a subgroup of any size share k (matmul/lanes.cpp)
    /// both operands pass through shared memory; a workgroup computes `rows` (a multiple of 8) by a panel
    tiled,
    /// As tiled with 64 rows, in 16-bit arithmetic (matmul/half_tile.h). k is a multiple of 4, groups a multiple of 16.
    half,
    matrix, ///< as tiled with 64 rows; four subgroups multiply matrices in f16; k is a multiple of 4
  };
  Kind kind = direct;
  uint32_t rows = 1;  ///< rows of a in one workgroup
  uint32_t split = 1; ///< invocations along k; with 1 there is no shared memory and no barrier
  /// For direct and lanes: the number of workgroups along a panel, in z. The invocations along k grow by the same
  /// factor. Matrices with few panels need this to fill a GPU.
  uint32_t slices = 1;
  /// For lanes: the number of workgroups along k, in z. Operands {..., parts, counters}: `pieces` words for each
  /// element of whole panels and tiles of rows, and one counter for each slice and tile.
  uint32_t pieces = 1;
  SubgroupSizes subgroups = {16, 64}; ///< for lanes
  /// For drivers that run on a CPU with subgroups of this size (llvmpipe): operands are texels. Invocations exchange
  /// nothing, because these drivers exchange values in a loop over all invocations.
  uint32_t subgroup = 0;
  MatrixShape shape = {}; ///< for matrix variants
};
Kernel packedMatmulKernel(const PackedMatmulSpec &spec, const MatmulVariant &variant);
/// Panels that a workgroup computes, one after another.
uint32_t panelsOfGroup(const PackedMatmulSpec &spec, const MatmulVariant &variant);

} // namespace linnet::vulkan
