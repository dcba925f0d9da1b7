// A workgroup of a compute shader, executed by the host: all its invocations ("lanes") do one instruction,
// then the next one, under a mask, so that barriers are nothing to do.
#pragma once
#include "runtime/vulkan/host/host_memory.h"
#include "runtime/vulkan/host/spirv_code.h"

namespace linnet::vulkan {

struct HostCall {
  std::array<uint32_t, 3> groups = {1, 1, 1};
  std::vector<uint32_t> push;
  std::vector<HostBinding> bindings;
  Mark mark = kFirstStep; ///< for what is written
};

class Workgroup {
public:
  Workgroup(const SpirvCode &code, const HostCall &call);

  /// Executes the one of that number. True: all that it wrote is known. A lane that reads what is not known
  /// goes on with zeros, and nothing that it writes from then on is. `work`: instructions times lanes that
  /// are left to do; an error where they do not suffice, or in code that is not as kernels are.
  Result<bool> run(std::array<uint32_t, 3> group, uint64_t &work);

private:
  struct Ended {
    bool by_loop = false; ///< no lane stays in the innermost loop
  };
  using Lanes = std::vector<uint8_t>;
  Result<Ended> execute(uint32_t from, uint32_t stop, uint32_t loop_end, int depth);
  Result<Ended> choose(const CodeInstruction &branch, uint32_t merge, uint32_t loop_end, int depth);
  Result<Ended> repeat(uint32_t header, uint32_t first, uint32_t merge, int depth);
  bool calculate(const CodeInstruction &i);
  bool calculateFloats(const CodeInstruction &i);
  bool calculateIntegers(const CodeInstruction &i);
  bool arrange(const CodeInstruction &i);
  bool extended(const CodeInstruction &i);
  void halves(const CodeInstruction &i);
  bool access(const CodeInstruction &i);
  void loadBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void storeBuffer(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void atomic(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void loadLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  void storeLocal(const CodeInstruction &i, const CodeVariable &v, const uint32_t *index);
  template <class F> void forWords(const CodeVariable &v, uint32_t width, const uint32_t *index, F f);
  bool loadInput(const CodeInstruction &i, const CodeVariable &v);
  const HostBinding *bindingOf(const CodeVariable &v) const;
  void taint(uint32_t lane) { tainted[lane] = 1, sure = false; }
  bool any() const;

  uint32_t *reg(uint32_t id) { return registers.data() + size_t(code.slot[id]) * lanes; }

  template <class F> void map1(const CodeInstruction &i, F f);
  template <class F> void map2(const CodeInstruction &i, F f);
  template <class F> void map3(const CodeInstruction &i, F f);

  const SpirvCode &code;
  const HostCall &call;
  uint32_t lanes;
  std::vector<uint32_t> registers, function, workgroup; ///< each word of all lanes; but workgroup's one word
  Lanes mask, tainted;
  std::vector<uint8_t> workgroup_known;
  std::array<uint32_t, 3> group = {};
  uint64_t left = 0;
  bool sure = true;
};

} // namespace linnet::vulkan
