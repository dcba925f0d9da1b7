// Executes one workgroup of a compute shader. All invocations ("lanes") execute an instruction under a mask, then the
// next one, so barriers do nothing. Lanes of a GPU do not run in step; a Watch finds code that depends on it.
#pragma once
#include "backends/vulkan/simulator/memory.h"
#include "backends/vulkan/simulator/spirv_code.h"

#include <bit>
#include <cstdint>
#include <optional>

namespace linnet::vulkan {

// Conversions between a lane's 32 bits and f32 or a signed integer.
inline float asFloat(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t bitsOfFloat(float value) { return std::bit_cast<uint32_t>(value); }
inline int32_t asSigned(uint32_t bits) { return static_cast<int32_t>(bits); }

struct SimulatedCall {
  std::array<uint32_t, 3> groups = {1, 1, 1};
  std::vector<uint32_t> push;
  std::vector<SimulatedBinding> bindings;
  Mark mark = kFirstStep; ///< the mark of written words
  /// lanes of a subgroup; 0 means unknown: code that needs subgroups is then an error
  uint32_t subgroup = 0;
  /// Lane n executes another invocation than n. Vulkan does not define the mapping.
  bool scattered = false;
  /// If set, undefined behaviour is an error: a race, a barrier that some lanes do not reach, or an index outside of an
  /// array. Words that no invocation has written are kPoison.
  Watch *watch = nullptr;
};

class Workgroup {
public:
  Workgroup(const SpirvCode &code, const SimulatedCall &call);

  /// Executes workgroup `group`. Returns true if everything that it wrote is known. A lane that reads an unknown word
  /// continues with zeros, and its later writes are unknown. `work` is the budget of instructions times lanes; running
  /// out of it is an error. So is code of a form that kernels do not have.
  Result<bool> run(std::array<uint32_t, 3> group, uint64_t &work);

private:
  struct Ended {
    bool by_loop = false; ///< the innermost loop has no lanes left
  };
  using Lanes = std::vector<uint8_t>;
  Result<Ended> execute(uint32_t from, uint32_t stop, uint32_t loop_end, int depth);
  Result<Ended> choose(const CodeInstruction &branch, uint32_t merge, uint32_t loop_end, int depth);
  Result<Ended> repeat(uint32_t header, uint32_t first, uint32_t merge, int depth);
  Result<void> refusal() const;
  void forget();
  void meet(const CodeInstruction &i);
  bool calculate(const CodeInstruction &i);
  bool calculateFloats(const CodeInstruction &i);
  bool calculateIntegers(const CodeInstruction &i);
  bool arrange(const CodeInstruction &i);
  bool extended(const CodeInstruction &i);
  void halves(const CodeInstruction &i);
  void roundHalves(const CodeInstruction &i);
  // workgroup_subgroups.cpp
  bool together(const CodeInstruction &i);
  template <class F> void reduce(const CodeInstruction &i, F f);
  bool exchange(const CodeInstruction &i);
  void takeFrom(const CodeInstruction &i, uint32_t lane, uint32_t from);
  /// Calls f(subgroup, first lane, end) for subgroups with an active lane.
  template <class F> void forSubgroups(const char *what, F f);
  // workgroup_matrices.cpp
  bool matrices(const CodeInstruction &i);
  void moveMatrix(const CodeInstruction &i, uint32_t subgroup);
  void multiplyAdd(const CodeInstruction &i, uint32_t subgroup);
  float *matrix(uint32_t id, uint32_t subgroup);
  uint64_t costOf(const CodeInstruction &i) const;
  // workgroup_memory.cpp
  bool access(const CodeInstruction &i);
  void fetch(const CodeInstruction &i);
  void loadBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void storeBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void atomic(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void count(const CodeVariable &v);
  void loadLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void storeLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  template <class F> void forWords(const CodeVariable &v, uint32_t width, const uint32_t *index, F f);
  bool loadInput(const CodeInstruction &i, const CodeVariable &v);
  std::optional<uint32_t> inputOf(const CodeVariable &v, uint32_t lane, uint32_t k) const;
  const CodeVariable &variableOf(uint32_t pointer) const { return code.variables[code.variable[pointer]]; }
  const SimulatedBinding *bindingOf(const CodeVariable &v) const;
  void taint(uint32_t lane) { tainted[lane] = 1, sure = false; }
  // Calls of the watch.
  std::string place(const CodeVariable &v, uint64_t word) const;
  void outside(uint32_t lane, const CodeVariable &v, uint64_t word);
  void touch(Watch::Access how, uint16_t unit, const CodeVariable &v, WordLog *log, uint64_t word);
  uint16_t unitOf(uint32_t lane) const { return call.watch->unitOf(lane, subgroupSize()); }
  uint32_t subgroupSize() const { return call.subgroup ? call.subgroup : 1; }
  uint32_t subgroups() const { return (lanes + subgroupSize() - 1) / subgroupSize(); }
  bool any() const;

  uint32_t *reg(uint32_t id) { return registers.data() + size_t(code.slot[id]) * lanes; }

  template <class F> void map1(const CodeInstruction &i, F f);
  template <class F> void map2(const CodeInstruction &i, F f);
  template <class F> void map3(const CodeInstruction &i, F f);

  const SpirvCode &code;
  const SimulatedCall &call;
  uint32_t lanes;
  /// registers and function: each word for all lanes; workgroup: words of shared memory
  std::vector<uint32_t> registers, function, workgroup;
  std::vector<float> matrix_file;   ///< each matrix for all subgroups
  std::vector<uint32_t> invocation; ///< the invocation that each lane executes
  std::vector<WordLog> workgroup_log;
  Lanes mask, tainted;
  std::vector<uint8_t> workgroup_known;
  std::array<uint32_t, 3> group = {};
  uint64_t left = 0;
  bool sure = true;
};

} // namespace linnet::vulkan
