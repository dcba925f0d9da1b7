#include "commands/inspect.h"
#include "compiler.h"
#include "output.h"
#include "support/json.h"

namespace linnet::cli {
namespace {

Json portsJson(const std::vector<GraphPort> &ports) {
  Json out = Json::array();
  for (const GraphPort &port : ports) out.push_back({{"name", port.name}, {"type", port.type}});
  return out;
}

Json paramsJson(const GraphSummary &graph) {
  Json out = Json::array();
  for (const TensorSummary &param : graph.params)
    out.push_back(
        {{"name", param.name}, {"dtype", param.dtype}, {"shape", param.shape}, {"bytes", param.bytes}});
  return out;
}

Json toJson(const GraphSummary &graph, const InspectOptions &options) {
  Json out = {{"kind", "graph"},
              {"parameters", graph.parameters},
              {"bytes", graph.bytes},
              {"params", graph.params.size()}};
  if (options.tensors) out["weight_list"] = paramsJson(graph);
  if (options.module) out["module"] = graph.module;
  out["entries"] = Json::array();
  for (const GraphEntry &entry : graph.entries) {
    Json bounds = Json::object(), ops = Json::object();
    for (auto &[name, bound] : entry.bounds) bounds[name] = bound;
    for (auto &[op, count] : entry.ops) ops[op] = count;
    out["entries"].push_back({{"name", entry.name},
                              {"bounds", bounds},
                              {"inputs", portsJson(entry.inputs)},
                              {"outputs", portsJson(entry.outputs)},
                              {"states", portsJson(entry.states)},
                              {"ops", ops}});
  }
  return out;
}

void printPorts(const char *title, const std::vector<GraphPort> &ports) {
  for (const GraphPort &port : ports) put("    {:<7} {}: {}\n", title, port.name, port.type);
}

void printEntry(const GraphEntry &entry) {
  uint64_t total = 0;
  std::vector<std::string> bounds, ops;
  for (auto &[name, bound] : entry.bounds) bounds.push_back(fmt::format("{} <= {}", name, bound));
  for (auto &[op, count] : entry.ops) ops.push_back(fmt::format("{} {}", count, op)), total += count;
  put("\n  entry @{}: {} ops{}{}\n", entry.name, total, bounds.empty() ? "" : "; ", fmt::join(bounds, ", "));
  printPorts("input", entry.inputs);
  printPorts("state", entry.states);
  printPorts("output", entry.outputs);
  put("    ops     {}\n", fmt::join(ops, ", "));
}

} // namespace

Result<void> inspectGraph(const InspectOptions &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet inspect on a graph"));
  LINNET_ASSIGN(GraphSummary graph, api->inspectGraph(options.file));
  if (options.json) return printJson(toJson(graph, options)), Result<void>();
  put("{}: graph, {} parameters, {} in {} tensors\n", options.file, countText(graph.parameters),
      bytesText(graph.bytes), graph.params.size());
  if (options.tensors) {
    Table table("lllr", {"parameter", "type", "shape", "bytes"});
    for (const TensorSummary &param : graph.params)
      table.add({param.name, param.dtype, fmt::format("[{}]", fmt::join(param.shape, ", ")),
                 std::to_string(param.bytes)});
    put("\n{}", table.plain("  "));
  }
  for (const GraphEntry &entry : graph.entries) printEntry(entry);
  if (options.module) put("\n{}\n", graph.module);
  return {};
}

} // namespace linnet::cli
