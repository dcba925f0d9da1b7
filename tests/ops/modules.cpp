#include "tests/ops/modules.h"

#include <fmt/format.h>

namespace linnet::testing {

std::string function(const std::vector<std::pair<std::string, std::string>> &arguments,
                     const std::string &body, const std::string &result, const std::string &type,
                     const std::string &bounds) {
  std::string list;
  for (const auto &[name, argument_type] : arguments)
    list += fmt::format("{}%{}: {} {{linnet.name = \"{}\"}}", list.empty() ? "" : ", ", name, argument_type,
                        name);
  return fmt::format("module attributes {{linnet.bounds = {{{}}}}} {{\nfunc.func @main({}) -> ({} "
                     "{{linnet.name = \"out\"}}) {{\n{}\n  return "
                     "%{} : {}\n}}\n}}",
                     bounds, list, type, body, result, type);
}

std::string replaced(std::string text, const std::map<std::string, std::string> &names) {
  for (const auto &[name, value] : names)
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
      text.replace(at, name.size(), value);
  return text;
}

PipelineSpec plainPipeline() {
  PipelineSpec spec;
  spec.opt_level = 0;
  return spec;
}

} // namespace linnet::testing
