// Graphs of linnet/c.h.
#include "runtime/c/handles.h"

struct linnet_graph {
  linnet::Graph graph;
  /// Texts of shapes: of the inputs and outputs of each entry, and of the states.
  using Shapes = std::vector<std::vector<const char *>>;
  std::vector<Shapes> inputs = {}, outputs = {};
  Shapes states = {};
};

namespace linnet::c {

static linnet_graph::Shapes shapesOf(const std::vector<PortInfo> &ports) {
  linnet_graph::Shapes shapes;
  for (const PortInfo &port : ports) shapes.push_back(pointers(port.shape));
  return shapes;
}

static Result<linnet_graph *> loadGraph(const char *path, const linnet_load_options *options) {
  LINNET_ASSIGN(Graph graph, Graph::load(&required(path, "path"), readLoadOptions(options)));
  auto handle = std::make_unique<linnet_graph>(std::move(graph));
  for (const EntryInfo &entry : handle->graph.entries()) {
    handle->inputs.push_back(shapesOf(entry.inputs));
    handle->outputs.push_back(shapesOf(entry.outputs));
  }
  handle->states = shapesOf(handle->graph.states());
  return handle.release();
}

static linnet_port asStruct(const PortInfo &port, const std::vector<const char *> &shape) {
  return {.struct_size = 0,
          .name = port.name.c_str(),
          .type = static_cast<int32_t>(port.type),
          .rank = static_cast<int32_t>(shape.size()),
          .shape = shape.data(),
          .largest = port.largest.data()};
}

static NamedTensor readTensor(const linnet_tensor *given) {
  linnet_tensor tensor = {};
  readOptions(&required(given, "inputs"), tensor, "inputs");
  if (tensor.type < LINNET_F32 || tensor.type > LINNET_I8)
    throw BadArgument{
        fmt::format("inputs: expected a type from {} to {}, found {}", +LINNET_F32, +LINNET_I8, tensor.type)};
  if (tensor.rank < 0)
    throw BadArgument{fmt::format("inputs: expected a rank of 0 or more, found {}", tensor.rank)};
  const auto shape = array(tensor.shape, static_cast<size_t>(tensor.rank), "shape");
  const auto bytes = array(static_cast<const std::byte *>(tensor.bytes), tensor.byte_count, "bytes");
  NamedTensor out{&required(tensor.name, "name"), {}};
  out.tensor.type = static_cast<ElementType>(tensor.type);
  out.tensor.shape.assign(shape.begin(), shape.end());
  out.tensor.bytes.assign(bytes.begin(), bytes.end());
  return out;
}

static const EntryInfo &entryOf(const linnet_graph *graph, size_t index) {
  return element(required(graph, "graph").graph.entries(), index, "entry");
}

} // namespace linnet::c

using namespace linnet;
using namespace linnet::c;

static_assert(static_cast<int>(ElementType::F32) == LINNET_F32);
static_assert(static_cast<int>(ElementType::I8) == LINNET_I8);

linnet_status linnet_graph_load(const char *path, const linnet_load_options *options, linnet_graph **graph) {
  return guarded([&]() -> Result<void> {
    required(graph, "graph") = nullptr;
    LINNET_ASSIGN(*graph, loadGraph(path, options));
    return {};
  });
}

void linnet_graph_free(linnet_graph *graph) { delete graph; }

linnet_status linnet_graph_counts(const linnet_graph *graph, size_t *entries, size_t *states) {
  return guarded([&]() -> Result<void> {
    const Graph &loaded = required(graph, "graph").graph;
    required(states, "states");
    required(entries, "entries") = loaded.entries().size();
    *states = loaded.states().size();
    return {};
  });
}

linnet_status linnet_graph_entry(const linnet_graph *graph, size_t index, linnet_entry *entry) {
  return guarded([&]() -> Result<void> {
    const EntryInfo &found = entryOf(graph, index);
    writeStruct(entry,
                {.struct_size = 0,
                 .name = found.name.c_str(),
                 .input_count = found.inputs.size(),
                 .output_count = found.outputs.size()},
                "entry");
    return {};
  });
}

linnet_status linnet_graph_input(const linnet_graph *graph, size_t entry, size_t index, linnet_port *port) {
  return guarded([&]() -> Result<void> {
    const PortInfo &found = element(entryOf(graph, entry).inputs, index, "index");
    writeStruct(port, asStruct(found, graph->inputs[entry][index]), "port");
    return {};
  });
}

linnet_status linnet_graph_output(const linnet_graph *graph, size_t entry, size_t index, linnet_port *port) {
  return guarded([&]() -> Result<void> {
    const PortInfo &found = element(entryOf(graph, entry).outputs, index, "index");
    writeStruct(port, asStruct(found, graph->outputs[entry][index]), "port");
    return {};
  });
}

linnet_status linnet_graph_state(const linnet_graph *graph, size_t index, linnet_port *port) {
  return guarded([&]() -> Result<void> {
    const PortInfo &found = element(required(graph, "graph").graph.states(), index, "index");
    writeStruct(port, asStruct(found, graph->states[index]), "port");
    return {};
  });
}

linnet_status linnet_graph_run(linnet_graph *graph, const char *entry, const linnet_tensor *const *inputs,
                               size_t input_count, const char *const *outputs, size_t output_count,
                               linnet_result **result) {
  return producing(result, [&] {
    std::vector<NamedTensor> tensors;
    for (const linnet_tensor *tensor : array(inputs, input_count, "inputs"))
      tensors.push_back(readTensor(tensor));
    std::vector<std::string> names;
    for (const char *name : array(outputs, output_count, "outputs"))
      names.emplace_back(&required(name, "outputs"));
    return required(graph, "graph").graph.run(&required(entry, "entry"), tensors, names);
  });
}

linnet_status linnet_graph_reset_states(linnet_graph *graph) {
  return guarded([&]() -> Result<void> {
    required(graph, "graph").graph.resetStates();
    return {};
  });
}

linnet_status linnet_graph_read_state(linnet_graph *graph, const char *name, linnet_result **result) {
  return producing(result, [&]() -> Result<NamedTensor> {
    LINNET_ASSIGN(Tensor tensor, required(graph, "graph").graph.readState(&required(name, "name")));
    return NamedTensor{name, std::move(tensor)};
  });
}

linnet_status linnet_graph_write_state(linnet_graph *graph, const char *name, const void *bytes,
                                       size_t byte_count) {
  return guarded([&]() -> Result<void> {
    const auto data = array(static_cast<const std::byte *>(bytes), byte_count, "bytes");
    return required(graph, "graph").graph.writeState(&required(name, "name"), data);
  });
}

linnet_status linnet_graph_memory(const linnet_graph *graph, linnet_memory_use *memory) {
  return guarded([&]() -> Result<void> {
    writeMemory(memory, required(graph, "graph").graph.memory());
    return {};
  });
}
