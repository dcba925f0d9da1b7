#include "commands/run.h"
#include "linnet/graph.h"
#include "model.h"
#include "npy.h"
#include "output.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace linnet::cli {
namespace {

const char *npyType(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return "<f4";
  case ElementType::F16:
    return "<f2";
  case ElementType::I32:
    return "<i4";
  case ElementType::I8:
    return "<i1";
  case ElementType::BF16:
    return "<f4"; // NumPy has no bf16: widened
  }
  return "";
}

/// Converts an array for an input port. It must have the port's type, or be int64 for int32 if all values
/// fit.
Result<Tensor> toTensor(const NpyArray &array, const PortInfo &port, const std::string &path) {
  Tensor tensor;
  tensor.type = port.type;
  tensor.shape = array.shape;
  if (array.type == npyType(port.type) && port.type != ElementType::BF16) {
    tensor.bytes.assign(array.data.begin(), array.data.end());
    return tensor;
  }
  if (array.type == "<i8" && port.type == ElementType::I32) {
    std::vector<int32_t> values(array.data.size() / 8);
    for (size_t i = 0; i < values.size(); ++i) {
      int64_t value;
      std::memcpy(&value, array.data.data() + i * 8, 8);
      if (value != static_cast<int32_t>(value))
        return errorf("{}: element {} is {}: not in the range of int32", path, i, value);
      values[i] = static_cast<int32_t>(value);
    }
    return Tensor::fromInts(array.shape, values);
  }
  return errorf("{}: input '{}' expects elements of type {}, the file has {}", path, port.name,
                npyType(port.type), array.type);
}

/// The values as doubles, for printing.
std::vector<double> numbers(const Tensor &tensor) {
  std::vector<double> out;
  size_t element = tensor.type == ElementType::I8                                       ? 1
                   : tensor.type == ElementType::F32 || tensor.type == ElementType::I32 ? 4
                                                                                        : 2;
  for (size_t at = 0; at + element <= tensor.bytes.size(); at += element) {
    uint32_t raw = 0;
    std::memcpy(&raw, tensor.bytes.data() + at, element);
    if (tensor.type == ElementType::BF16) raw <<= 16;
    float f;
    std::memcpy(&f, &raw, 4);
    if (tensor.type == ElementType::I32)
      out.push_back(static_cast<int32_t>(raw));
    else if (tensor.type == ElementType::I8)
      out.push_back(static_cast<int8_t>(raw));
    else if (tensor.type != ElementType::F16)
      out.push_back(f);
    else {
      int exponent = raw >> 10 & 31, mantissa = raw & 1023;
      double value = exponent == 31
                         ? (mantissa ? NAN : INFINITY)
                         : std::ldexp(exponent ? 1024 + mantissa : mantissa, std::max(exponent, 1) - 25);
      out.push_back(raw >> 15 ? -value : value);
    }
  }
  return out;
}

/// The index of element `at` of a row-major array: "[1, 3]".
std::string placeText(size_t at, const std::vector<int64_t> &shape) {
  std::vector<size_t> place(shape.size());
  for (size_t d = shape.size(); d-- > 0; at /= static_cast<size_t>(shape[d]))
    place[d] = at % static_cast<size_t>(shape[d]);
  return fmt::format("[{}]", fmt::join(place, ", "));
}

/// NaN is an error. Infinity may be intended (masks, logarithms of 0), but is an error with JSON, which
/// cannot express it.
Result<void> checkNumbers(const std::string &what, const Tensor &tensor, bool json) {
  if (tensor.type == ElementType::I32 || tensor.type == ElementType::I8) return {};
  const std::vector<double> values = numbers(tensor);
  for (size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i]) || (json && std::isinf(values[i])))
      return errorf("{}: element {} is {}, expected {}", what, placeText(i, tensor.shape),
                    std::isnan(values[i]) ? "nan" : fmt::format("{}", values[i]),
                    json ? "a finite number" : "a number");
  return {};
}

Result<void> save(const NamedTensor &output, const std::string &path) {
  LINNET_ASSIGN(NpyWriter writer, NpyWriter::create(path, npyType(output.tensor.type), output.tensor.shape));
  if (output.tensor.type == ElementType::BF16) {
    std::vector<double> wide = numbers(output.tensor);
    std::vector<float> values(wide.begin(), wide.end());
    LINNET_TRY(writer.write(std::as_bytes(std::span(values))));
  } else {
    LINNET_TRY(writer.write(output.tensor.bytes));
  }
  return writer.commit();
}

Result<const EntryInfo *> entryOf(const Graph &graph, const std::string &name, const std::string &file) {
  std::vector<std::string> names;
  for (const EntryInfo &entry : graph.entries()) {
    if (entry.name == name || (name.empty() && graph.entries().size() == 1)) return &entry;
    names.push_back(entry.name);
  }
  if (name.empty())
    return errorf("{}: has several entries, choose with --entry: {}", file, fmt::join(names, ", "));
  return errorf("{}: no entry '{}', there are: {}", file, name, fmt::join(names, ", "));
}

Result<std::vector<NamedTensor>> readInputs(const EntryInfo &entry, const GraphOptions &options) {
  std::vector<NamedTensor> inputs;
  for (const PortInfo &port : entry.inputs) {
    auto at = std::find_if(options.inputs.begin(), options.inputs.end(),
                           [&](auto &i) { return i.first == port.name; });
    if (at == options.inputs.end())
      return errorf("entry @{}: input '{}' ({} [{}]) is missing: --input {}=FILE.npy", entry.name, port.name,
                    npyType(port.type), fmt::join(port.shape, ", "), port.name);
    LINNET_ASSIGN(NpyArray array, readNpy(at->second));
    LINNET_ASSIGN(Tensor tensor, toTensor(array, port, at->second));
    inputs.push_back({port.name, std::move(tensor)});
  }
  for (auto &[name, file] : options.inputs)
    if (std::none_of(entry.inputs.begin(), entry.inputs.end(), [&](auto &port) { return port.name == name; }))
      return errorf("--input: entry @{} has no input '{}'", entry.name, name);
  return inputs;
}

void summarize(const NamedTensor &output) {
  std::vector<double> values = numbers(output.tensor);
  double low = values.empty() ? 0 : *std::min_element(values.begin(), values.end());
  double high = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double v : values) sum += v;
  put("{}: {} [{}], min {:.6g}, max {:.6g}, mean {:.6g}\n", output.name, npyType(output.tensor.type),
      fmt::join(output.tensor.shape, ", "), low, high,
      values.empty() ? 0 : sum / static_cast<double>(values.size()));
  size_t columns = output.tensor.shape.empty() ? 1 : static_cast<size_t>(output.tensor.shape.back());
  for (size_t row = 0; columns && row * columns < values.size() && row < 8; ++row) {
    std::vector<std::string> cells;
    for (size_t c = 0; c < std::min<size_t>(columns, 8); ++c)
      cells.push_back(fmt::format("{:.6g}", values[row * columns + c]));
    put("  {}{}\n", fmt::join(cells, "  "), columns > 8 ? "  ..." : "");
  }
  if (columns && values.size() / columns > 8) put("  ...\n");
}

} // namespace

void GraphOptions::add(CLI::App &command) {
  command.add_option("--input", input_pairs, "a graph's input; repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME=FILE.npy")
      ->group("Graphs that are no language model");
  command
      .add_option("--output", output_pairs,
                  "where an output goes (default: a summary is printed); repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME=FILE.npy")
      ->group("Graphs that are no language model");
  command.add_option("--entry", entry, "entry to run, if there are several")
      ->type_name("NAME")
      ->group("Graphs that are no language model");
}

void GraphOptions::parse() {
  auto split = [](const std::vector<std::string> &pairs, const char *option, auto &out) {
    for (const std::string &pair : pairs) {
      size_t equals = pair.find('=');
      if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size())
        usageError(fmt::format("{}: expected NAME=FILE.npy, found '{}'", option, pair));
      out.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
  };
  split(input_pairs, "--input", inputs);
  split(output_pairs, "--output", outputs);
}

Result<void> runGraph(const std::string &file, const DeviceOption &device, const GraphOptions &options,
                      const TraceOption &trace, bool json) {
  LINNET_TRY(trace.check());
  LINNET_ASSIGN(std::string artifact, artifactOf(file, device, "linnet run"));
  LINNET_ASSIGN(Graph graph, Graph::load(artifact, {.device = device.device, .threads = device.threads}));
  LINNET_ASSIGN(const EntryInfo *entry, entryOf(graph, options.entry, file));
  for (auto &[name, path] : options.outputs)
    if (std::none_of(entry->outputs.begin(), entry->outputs.end(),
                     [&](auto &port) { return port.name == name; }))
      return errorf("--output: entry @{} has no output '{}'", entry->name, name);
  LINNET_ASSIGN(std::vector<NamedTensor> inputs, readInputs(*entry, options));
  for (const NamedTensor &input : inputs)
    LINNET_TRY(
        checkNumbers(fmt::format("entry @{}: input '{}'", entry->name, input.name), input.tensor, false));
  auto profiler = trace.profiler();
  graph.setProfiler(profiler);
  LINNET_ASSIGN(std::vector<NamedTensor> outputs, graph.run(entry->name, inputs));
  LINNET_TRY(trace.write(profiler, file, device.threads));
  for (const NamedTensor &output : outputs)
    LINNET_TRY(
        checkNumbers(fmt::format("entry @{}: output '{}'", entry->name, output.name), output.tensor, json));
  Json object = Json::object();
  for (const NamedTensor &output : outputs) {
    auto to = std::find_if(options.outputs.begin(), options.outputs.end(),
                           [&](auto &o) { return o.first == output.name; });
    if (to != options.outputs.end()) LINNET_TRY(save(output, to->second));
    if (json) {
      object[output.name] = {{"dtype", npyType(output.tensor.type)}, {"shape", output.tensor.shape}};
      if (to == options.outputs.end())
        object[output.name]["values"] = numbers(output.tensor);
      else
        object[output.name]["file"] = to->second;
    } else if (to == options.outputs.end()) {
      summarize(output);
    } else {
      put("{}: {} [{}]\n", to->second, npyType(output.tensor.type), fmt::join(output.tensor.shape, ", "));
    }
  }
  if (json) printJson(object);
  return {};
}

} // namespace linnet::cli
