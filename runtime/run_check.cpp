#include "runtime/run_check.h"
#include "runtime/expr.h"
#include "support/error.h"

#include <algorithm>

namespace linnet {

bool serves(const flatbuffers::Vector<uint16_t> *only_for, const std::vector<bool> &wanted) {
  if (!only_for || wanted.empty()) return true;
  return std::any_of(only_for->begin(), only_for->end(), [&](uint16_t output) { return wanted[output]; });
}

uint64_t portBytes(const fb::Port &port, std::span<const int64_t> symbols) {
  uint64_t count = elementBytes(port.dtype());
  for (const fb::Expr *dim : *port.shape()) count *= static_cast<uint64_t>(evaluate(dim, symbols));
  return count;
}

Result<void> checkRun(const Artifact &artifact, const fb::Program &program, int entry,
                      std::span<const int64_t> symbols, std::span<const std::span<const std::byte>> inputs,
                      const std::vector<bool> &wanted, const std::vector<bool> &filled) {
  if (entry < 0 || static_cast<uint32_t>(entry) >= program.entries()->size())
    return errorf("{}: entry {} of {}", artifact.path(), entry, program.entries()->size());
  const fb::Entry &e = *program.entries()->Get(static_cast<uint32_t>(entry));
  auto name = e.name()->string_view();
  if (symbols.size() != program.symbols()->size())
    return errorf("entry '{}': expected {} symbols, found {}", name, program.symbols()->size(),
                  symbols.size());
  for (uint32_t i = 0; i < symbols.size(); ++i)
    if (symbols[i] < 1 || symbols[i] > e.bounds()->Get(i))
      return errorf("entry '{}': expected '{}' from 1 to {}, found {}", name,
                    program.symbols()->Get(i)->string_view(), e.bounds()->Get(i), symbols[i]);
  if (inputs.size() != e.inputs()->size())
    return errorf("entry '{}': expected {} inputs, found {}", name, e.inputs()->size(), inputs.size());
  for (uint32_t i = 0; i < inputs.size(); ++i)
    if (uint64_t need = i < filled.size() && filled[i] ? 0 : portBytes(*e.inputs()->Get(i), symbols);
        inputs[i].size() != need)
      return errorf("entry '{}': input '{}': expected {} bytes, found {}", name,
                    e.inputs()->Get(i)->name()->string_view(), need, inputs[i].size());
  if (!wanted.empty() && wanted.size() != e.outputs()->size())
    return errorf("entry '{}': expected {} flags of wanted outputs, found {}", name, e.outputs()->size(),
                  wanted.size());
  return {};
}

} // namespace linnet
