#include "commands/inspect.h"
#include "output.h"
#include "runtime/artifact/artifact.h"
#include "runtime/cpu/library_use.h"
#include "runtime/expr.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>

namespace linnet::cli {
namespace {

using Symbols = std::vector<std::string>;

Symbols symbolsOf(const fb::Program &program) {
  Symbols names;
  for (auto *name : *program.symbols()) names.push_back(name->str());
  return names;
}

/// "64", "4*batch*seq + 12".
std::string exprText(const fb::Expr *expr, const Symbols &names) {
  std::string out;
  for (size_t t = 0; expr && t < expr->terms()->size(); ++t) {
    const fb::Term &term = *expr->terms()->Get(static_cast<flatbuffers::uoffset_t>(t));
    std::string product;
    if (term.coefficient() != 1 || term.symbols()->size() == 0) product = std::to_string(term.coefficient());
    for (uint8_t symbol : *term.symbols()) product += (product.empty() ? "" : "*") + names[symbol];
    out += (out.empty() ? "" : " + ") + product;
  }
  return out.empty() ? "0" : out;
}

std::string shapeText(const flatbuffers::Vector<flatbuffers::Offset<fb::Expr>> &shape, const Symbols &names) {
  std::vector<std::string> dims;
  for (auto *dim : shape) dims.push_back(exprText(dim, names));
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

template <class Ports> Json portsJson(const Ports &ports, const Symbols &names) {
  Json out = Json::array();
  for (auto *port : ports)
    out.push_back({{"name", port->name()->str()},
                   {"dtype", dtypeName(port->dtype())},
                   {"shape", shapeText(*port->shape(), names)},
                   {"bytes", port->bytes()}});
  return out;
}

/// The cost of one op in an entry, over all its commands.
struct Cost {
  std::string op;
  uint64_t commands = 0, flops = 0, bytes = 0;
};

/// Values of the symbols: those of --at, else the entry's bounds. An unknown symbol is an error.
Result<std::vector<int64_t>> valuesFor(const InspectOptions &options, const fb::Program &program,
                                       const fb::Entry &entry) {
  Symbols names = symbolsOf(program);
  std::vector<int64_t> values(entry.bounds()->begin(), entry.bounds()->end());
  for (auto &[name, value] : options.at) {
    auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end())
      return errorf("--at: no dynamic dimension '{}', there are: {}", name, fmt::join(names, ", "));
    size_t i = static_cast<size_t>(at - names.begin());
    if (value < 0 || value > values[i])
      return errorf("--at: {}={} is outside the bounds of @{}: 0 to {}", name, value, entry.name()->str(),
                    values[i]);
    values[i] = value;
  }
  return values;
}

std::vector<Cost> costsOf(const fb::Entry &entry, const std::vector<int64_t> &values) {
  std::vector<Cost> costs;
  for (auto *command : *entry.commands()) {
    std::string op = command->op()->str();
    auto at = std::find_if(costs.begin(), costs.end(), [&](const Cost &cost) { return cost.op == op; });
    if (at == costs.end()) at = costs.insert(costs.end(), Cost{op});
    at->commands += 1;
    at->flops += static_cast<uint64_t>(evaluate(command->flops(), values));
    at->bytes += static_cast<uint64_t>(evaluate(command->bytes(), values));
  }
  std::stable_sort(costs.begin(), costs.end(),
                   [](const Cost &a, const Cost &b) { return a.flops > b.flops; });
  return costs;
}

Result<Json> entryJson(const InspectOptions &options, const fb::Program &program, const fb::Entry &entry) {
  Symbols names = symbolsOf(program);
  Json bounds = Json::object(), out;
  for (size_t i = 0; i < names.size(); ++i) bounds[names[i]] = entry.bounds()->Get(static_cast<unsigned>(i));
  out = {{"name", entry.name()->str()},
         {"bounds", bounds},
         {"inputs", portsJson(*entry.inputs(), names)},
         {"outputs", portsJson(*entry.outputs(), names)},
         {"commands", entry.commands()->size()},
         {"arena_bytes", entry.arena_bytes()},
         {"io_bytes", entry.io_bytes()}};
  if (options.commands) {
    out["command_list"] = Json::array();
    for (auto *command : *entry.commands())
      out["command_list"].push_back({{"op", command->op()->str()},
                                     {"location", command->location()->str()},
                                     {"flops", exprText(command->flops(), names)},
                                     {"bytes", exprText(command->bytes(), names)}});
  }
  if (options.cost) {
    LINNET_ASSIGN(std::vector<int64_t> values, valuesFor(options, program, entry));
    Json at = Json::object(), ops = Json::array();
    for (size_t i = 0; i < names.size(); ++i) at[names[i]] = values[i];
    for (const Cost &cost : costsOf(entry, values))
      ops.push_back(
          {{"op", cost.op}, {"commands", cost.commands}, {"flops", cost.flops}, {"bytes", cost.bytes}});
    out["cost"] = {{"at", at}, {"ops", ops}};
  }
  return out;
}

uint64_t weightBytes(const fb::Program &program) {
  uint64_t bytes = 0;
  for (auto *weight : *program.weights()) bytes += weight->blob()->size();
  return bytes;
}

Json weightsJson(const fb::Program &program) {
  Json out = Json::array();
  for (auto *weight : *program.weights())
    out.push_back({{"name", weight->name()->str()},
                   {"dtype", dtypeName(weight->dtype())},
                   {"shape", std::vector<int64_t>(weight->shape()->begin(), weight->shape()->end())},
                   {"layout", weight->layout()->str()},
                   {"bytes", weight->blob()->size()}});
  return out;
}

/// Whether loading the program needs oneDNN: "no", "with_amx" (on processors with AMX) or "yes".
const char *needsOneDnn(const fb::Program &program) {
  switch (cpu::libraryUse(program)) {
  case cpu::LibraryUse::Never:
    break;
  case cpu::LibraryUse::WithTiles:
    return "with_amx";
  case cpu::LibraryUse::Always:
    return "yes";
  }
  return "no";
}

Result<Json> programJson(const InspectOptions &options, const fb::Program &program) {
  Json out = {{"target", program.target()->str()},    {"symbols", symbolsOf(program)},
              {"weights", program.weights()->size()}, {"weight_bytes", weightBytes(program)},
              {"state_bytes", program.state_bytes()}, {"arena_bytes", program.arena_bytes()},
              {"kernels", program.kernels()->size()}};
  Symbols names = symbolsOf(program);
  out["states"] = Json::array();
  for (auto *state : *program.states())
    out["states"].push_back({{"name", state->name()->str()},
                             {"dtype", dtypeName(state->dtype())},
                             {"shape", shapeText(*state->shape(), names)},
                             {"bytes", state->bytes()}});
  out["code"] = Json::array();
  for (auto *code : *program.code())
    out["code"].push_back({{"isa", code->isa()->str()}, {"bytes", code->blob()->size()}});
  if (program.target()->string_view() == "cpu") out["needs_onednn"] = needsOneDnn(program);
  if (options.tensors) out["weight_list"] = weightsJson(program);
  if (options.module && program.module_()->size()) out["module"] = program.module_()->str();
  out["entries"] = Json::array();
  for (auto *entry : *program.entries()) {
    LINNET_ASSIGN(Json json, entryJson(options, program, *entry));
    out["entries"].push_back(std::move(json));
  }
  return out;
}

Result<Json> artifactJson(const InspectOptions &options, const Artifact &artifact) {
  const fb::Metadata &metadata = artifact.metadata();
  Json out = {{"kind", "artifact"},
              {"producer", metadata.producer()->str()},
              {"model", metadata.kind()->str()},
              {"source", metadata.source()->str()},
              {"bytes", artifact.fileBytes()},
              {"tokenizer_bytes", metadata.tokenizer() ? metadata.tokenizer()->size() : 0},
              {"config", Json::parse(metadata.config()->str(), nullptr, false)}};
  if (out["config"].is_discarded()) out["config"] = nullptr;
  out["verified"] = options.verify;
  out["programs"] = Json::array();
  for (auto *program : *metadata.programs()) {
    LINNET_ASSIGN(Json json, programJson(options, *program));
    out["programs"].push_back(std::move(json));
  }
  return out;
}

void printPorts(const char *title, const Json &ports) {
  for (const Json &port : ports)
    put("    {:<7} {}: {} {}\n", title, port["name"].get<std::string>(), port["dtype"].get<std::string>(),
        port["shape"].get<std::string>());
}

void printCost(const Json &cost) {
  std::vector<std::string> at;
  for (auto &[name, value] : cost["at"].items()) at.push_back(fmt::format("{}={}", name, value.dump()));
  put("    cost at {}\n", fmt::join(at, ", "));
  Table table("lrrr", {"op", "commands", "flops", "bytes"});
  Cost total{"total"};
  for (const Json &op : cost["ops"]) {
    uint64_t commands = op["commands"], flops = op["flops"], bytes = op["bytes"];
    table.add({op["op"], std::to_string(commands), countText(flops), bytesText(bytes)});
    total.commands += commands, total.flops += flops, total.bytes += bytes;
  }
  table.add({total.op, std::to_string(total.commands), countText(total.flops), bytesText(total.bytes)});
  put(std::string_view(table.plain("      ")));
}

void printEntry(const Json &entry) {
  std::vector<std::string> bounds;
  for (auto &[name, value] : entry["bounds"].items())
    bounds.push_back(fmt::format("{} <= {}", name, value.dump()));
  put("\n  entry @{}: {} commands, activations {}, I/O {}; {}\n", entry["name"].get<std::string>(),
      entry["commands"].get<uint64_t>(), bytesText(entry["arena_bytes"]), bytesText(entry["io_bytes"]),
      fmt::join(bounds, ", "));
  printPorts("input", entry["inputs"]);
  printPorts("output", entry["outputs"]);
  if (entry.contains("command_list")) {
    Table table("rlll", {"#", "op", "flops", "location"});
    size_t i = 0;
    for (const Json &command : entry["command_list"])
      table.add({std::to_string(i++), command["op"], command["flops"], command["location"]});
    put(std::string_view(table.plain("      ")));
  }
  if (entry.contains("cost")) printCost(entry["cost"]);
}

void printProgram(const Json &program) {
  put("\ntarget {}: {} weights {}, state {}, activations {}, {} kernels\n",
      program["target"].get<std::string>(), program["weights"].get<size_t>(),
      bytesText(program["weight_bytes"]), bytesText(program["state_bytes"]),
      bytesText(program["arena_bytes"]), program["kernels"].get<size_t>());
  for (const Json &code : program["code"])
    put("  code {}: {}\n", code["isa"].get<std::string>(), bytesText(code["bytes"]));
  if (program.contains("needs_onednn")) {
    const std::string need = program["needs_onednn"];
    put("  needs oneDNN: {}\n", need == "with_amx" ? "on processors with AMX" : need);
  }
  for (const Json &state : program["states"])
    put("  state {}: {} {}, {}\n", state["name"].get<std::string>(), state["dtype"].get<std::string>(),
        state["shape"].get<std::string>(), bytesText(state["bytes"]));
  if (program.contains("weight_list")) {
    Table table("llllr", {"weight", "type", "shape", "layout", "bytes"});
    for (const Json &weight : program["weight_list"])
      table.add({weight["name"], weight["dtype"], weight["shape"].dump(), weight["layout"],
                 std::to_string(weight["bytes"].get<uint64_t>())});
    put("\n{}", table.plain("  "));
  }
  for (const Json &entry : program["entries"]) printEntry(entry);
  if (program.contains("module")) put("\n{}\n", program["module"].get<std::string>());
}

} // namespace

Result<void> inspectArtifact(const InspectOptions &options) {
  LINNET_ASSIGN(Artifact artifact, Artifact::open(options.file));
  if (options.verify) LINNET_TRY(artifact.checkBlobs());
  LINNET_ASSIGN(Json json, artifactJson(options, artifact));
  auto carries = [](const Json &program) { return program.contains("module"); };
  if (options.module && std::none_of(json["programs"].begin(), json["programs"].end(), carries))
    return errorf("{}: --module: no program carries its graph; with --target reference, one does",
                  options.file);
  if (options.json) return printJson(json), Result<void>();
  std::string model = json["model"];
  put("{}: artifact, {} ({} bytes), {}, by {}\n", options.file, bytesText(artifact.fileBytes()),
      artifact.fileBytes(), model.empty() ? "a graph" : model, json["producer"].get<std::string>());
  put("source: {}\n", json["source"].get<std::string>());
  put("tokenizer: {}\n", json["tokenizer_bytes"] == 0 ? "none" : bytesText(json["tokenizer_bytes"]));
  if (Json config = json["config"]; config.is_object()) {
    if (auto found = config.find("chat_template"); found != config.end() && found->is_string()) {
      // It may have thousands of characters: --json has it.
      put("chat template: {} bytes\n", found->get_ref<const std::string &>().size());
      config.erase(found);
    }
    put("config: {}\n", config.dump());
  }
  if (options.verify) put("every checksum agrees\n");
  for (const Json &program : json["programs"]) printProgram(program);
  return {};
}

} // namespace linnet::cli
