#include "linnet/graph.h"
#include "runtime/expr.h"
#include "runtime/loaded_model.h"
#include "runtime/run_check.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet {
namespace {

static_assert(static_cast<int>(ElementType::F32) == static_cast<int>(fb::DType::f32));
static_assert(static_cast<int>(ElementType::I8) == static_cast<int>(fb::DType::i8));

template <class T>
Tensor makeTensor(ElementType type, std::vector<int64_t> shape, std::span<const T> values) {
  Tensor tensor{type, std::move(shape), {}};
  auto bytes = std::as_bytes(values);
  tensor.bytes.assign(bytes.begin(), bytes.end());
  return tensor;
}

void append(std::string &list, const char *separator, std::string_view item) {
  if (!list.empty()) list += separator;
  list += item;
}

// The symbol of a dimension; -1 if it is a number or a formula.
int plainSymbol(const fb::Expr &dim) {
  if (dim.terms()->size() != 1) return -1;
  const fb::Term &term = *dim.terms()->Get(0);
  return term.coefficient() == 1 && term.symbols()->size() == 1 ? term.symbols()->Get(0) : -1;
}

std::string dimText(const fb::Expr &dim, const fb::Program &program) {
  std::string text;
  for (const fb::Term *term : *dim.terms()) {
    std::string product;
    if (term->coefficient() != 1 || term->symbols()->size() == 0)
      product = std::to_string(term->coefficient());
    for (uint8_t symbol : *term->symbols()) append(product, "*", program.symbols()->Get(symbol)->str());
    append(text, " + ", product);
  }
  return text.empty() ? "0" : text;
}

std::vector<PortInfo> describePorts(const flatbuffers::Vector<flatbuffers::Offset<fb::Port>> &ports,
                                    const fb::Program &program, std::span<const int64_t> bounds) {
  std::vector<PortInfo> list;
  for (const fb::Port *port : ports) {
    PortInfo info{port->name()->str(), static_cast<ElementType>(port->dtype()), {}, {}};
    for (const fb::Expr *dim : *port->shape()) {
      info.shape.push_back(dimText(*dim, program));
      info.largest.push_back(evaluate(dim, bounds));
    }
    list.push_back(std::move(info));
  }
  return list;
}

std::vector<EntryInfo> describeEntries(const fb::Program &program) {
  std::vector<EntryInfo> list;
  for (const fb::Entry *entry : *program.entries()) {
    std::vector<int64_t> bounds(entry->bounds()->begin(), entry->bounds()->end());
    list.push_back({entry->name()->str(), describePorts(*entry->inputs(), program, bounds),
                    describePorts(*entry->outputs(), program, bounds)});
  }
  return list;
}

/// Sizes are at the largest bounds of any entry.
std::vector<PortInfo> describeStates(const fb::Program &program) {
  std::vector<int64_t> bounds(program.symbols()->size(), 0);
  for (const fb::Entry *entry : *program.entries())
    for (uint32_t i = 0; i < bounds.size(); ++i) bounds[i] = std::max(bounds[i], entry->bounds()->Get(i));
  std::vector<PortInfo> list;
  for (const fb::State *state : *program.states()) {
    PortInfo info{state->name()->str(), static_cast<ElementType>(state->dtype()), {}, {}};
    for (const fb::Expr *dim : *state->shape()) {
      info.shape.push_back(dimText(*dim, program));
      info.largest.push_back(evaluate(dim, bounds));
    }
    list.push_back(std::move(info));
  }
  return list;
}

std::string shapeText(std::span<const int64_t> shape) {
  std::string text;
  for (int64_t dim : shape) append(text, "x", std::to_string(dim));
  return fmt::format("[{}]", text);
}

} // namespace

Tensor Tensor::fromFloats(std::vector<int64_t> shape, std::span<const float> values) {
  return makeTensor(ElementType::F32, std::move(shape), values);
}
Tensor Tensor::fromInts(std::vector<int64_t> shape, std::span<const int32_t> values) {
  return makeTensor(ElementType::I32, std::move(shape), values);
}
std::span<const float> Tensor::floats() const {
  if (type != ElementType::F32) return {};
  return {reinterpret_cast<const float *>(bytes.data()), bytes.size() / sizeof(float)};
}
std::span<const int32_t> Tensor::ints() const {
  if (type != ElementType::I32) return {};
  return {reinterpret_cast<const int32_t *>(bytes.data()), bytes.size() / sizeof(int32_t)};
}

struct Graph::State {
  LoadedArtifact file;
  std::unique_ptr<Executable> executable;
  std::vector<EntryInfo> entries;
  std::vector<PortInfo> states;

  const fb::Entry &entry(size_t i) const { return *file.program->entries()->Get(static_cast<uint32_t>(i)); }
  Result<size_t> find(std::string_view name) const;
  Result<const Tensor *> input(const fb::Entry &entry, const fb::Port &port,
                               std::span<const NamedTensor> inputs) const;
  Result<void> bind(const fb::Entry &entry, const fb::Port &port, const Tensor &tensor,
                    std::vector<int64_t> &symbols) const;
  Result<void> checkShape(const fb::Entry &entry, const fb::Port &port, const Tensor &tensor,
                          std::span<const int64_t> symbols) const;
  Result<std::vector<bool>> choose(const fb::Entry &entry, std::span<const std::string> outputs) const;
  Result<std::vector<NamedTensor>> collect(const fb::Entry &entry, std::span<const int64_t> symbols,
                                           const std::vector<bool> &wanted);
};

Graph::Graph(std::unique_ptr<State> s) : state(std::move(s)) {}
Graph::Graph(Graph &&) noexcept = default;
Graph &Graph::operator=(Graph &&) noexcept = default;
Graph::~Graph() = default;

Result<Graph> Graph::load(const std::string &path, const LoadOptions &options) {
  auto state = std::make_unique<State>();
  LINNET_ASSIGN(state->file, LoadedArtifact::open(path, options));
  LINNET_ASSIGN(state->executable, state->file.load());
  state->entries = describeEntries(*state->file.program);
  state->states = describeStates(*state->file.program);
  return Graph(std::move(state));
}

Result<size_t> Graph::State::find(std::string_view name) const {
  std::string there;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].name == name) return i;
    append(there, ", ", entries[i].name);
  }
  return errorf("{}: has no entry '{}', only: {}", file.artifact.path(), name, there);
}

Result<const Tensor *> Graph::State::input(const fb::Entry &entry, const fb::Port &port,
                                           std::span<const NamedTensor> inputs) const {
  auto name = port.name()->string_view();
  for (const NamedTensor &given : inputs)
    if (given.name == name) {
      if (static_cast<fb::DType>(given.tensor.type) == port.dtype()) return &given.tensor;
      return errorf("entry '{}': input '{}': expected {}, found {}", entry.name()->string_view(), name,
                    dtypeName(port.dtype()), dtypeName(static_cast<fb::DType>(given.tensor.type)));
    }
  return errorf("entry '{}': input '{}' is missing", entry.name()->string_view(), name);
}

Result<void> Graph::State::bind(const fb::Entry &entry, const fb::Port &port, const Tensor &tensor,
                                std::vector<int64_t> &symbols) const {
  if (tensor.shape.size() != port.shape()->size())
    return errorf("entry '{}': input '{}': expected {} dimensions, found {}", entry.name()->string_view(),
                  port.name()->string_view(), port.shape()->size(), shapeText(tensor.shape));
  for (uint32_t d = 0; d < port.shape()->size(); ++d) {
    int symbol = plainSymbol(*port.shape()->Get(d));
    if (symbol < 0) continue;
    int64_t &value = symbols[static_cast<size_t>(symbol)], found = tensor.shape[d];
    if (value >= 0 && value != found)
      return errorf("entry '{}': input '{}': '{}' is {} here and {} in another input",
                    entry.name()->string_view(), port.name()->string_view(),
                    file.program->symbols()->Get(static_cast<uint32_t>(symbol))->str(), found, value);
    value = found;
  }
  return {};
}

Result<void> Graph::State::checkShape(const fb::Entry &entry, const fb::Port &port, const Tensor &tensor,
                                      std::span<const int64_t> symbols) const {
  std::vector<int64_t> expected;
  for (const fb::Expr *dim : *port.shape()) expected.push_back(evaluate(dim, symbols));
  if (!std::equal(expected.begin(), expected.end(), tensor.shape.begin()))
    return errorf("entry '{}': input '{}': expected shape {}, found {}", entry.name()->string_view(),
                  port.name()->string_view(), shapeText(expected), shapeText(tensor.shape));
  if (uint64_t need = portBytes(port, symbols); tensor.bytes.size() != need)
    return errorf("entry '{}': input '{}': its shape needs {} bytes, it has {}", entry.name()->string_view(),
                  port.name()->string_view(), need, tensor.bytes.size());
  return {};
}

Result<std::vector<bool>> Graph::State::choose(const fb::Entry &entry,
                                               std::span<const std::string> outputs) const {
  std::vector<bool> wanted(entry.outputs()->size(), outputs.empty());
  for (const std::string &name : outputs) {
    bool found = false;
    for (uint32_t i = 0; i < entry.outputs()->size(); ++i)
      if (entry.outputs()->Get(i)->name()->string_view() == name) wanted[i] = found = true;
    if (!found) return errorf("entry '{}' has no output '{}'", entry.name()->string_view(), name);
  }
  return wanted;
}

Result<std::vector<NamedTensor>> Graph::State::collect(const fb::Entry &entry,
                                                       std::span<const int64_t> symbols,
                                                       const std::vector<bool> &wanted) {
  std::vector<NamedTensor> list;
  for (uint32_t i = 0; i < entry.outputs()->size(); ++i) {
    if (!wanted[i]) continue;
    const fb::Port &port = *entry.outputs()->Get(i);
    LINNET_ASSIGN(auto bytes, executable->output(static_cast<int>(i)));
    NamedTensor out{port.name()->str(), {static_cast<ElementType>(port.dtype()), {}, {}}};
    for (const fb::Expr *dim : *port.shape()) out.tensor.shape.push_back(evaluate(dim, symbols));
    out.tensor.bytes.assign(bytes.begin(), bytes.end());
    list.push_back(std::move(out));
  }
  return list;
}

const std::vector<EntryInfo> &Graph::entries() const { return state->entries; }

Result<std::vector<NamedTensor>> Graph::run(std::string_view name, std::span<const NamedTensor> inputs,
                                            std::span<const std::string> outputs) {
  LINNET_ASSIGN(size_t number, state->find(name));
  const fb::Entry &entry = state->entry(number);
  if (inputs.size() != entry.inputs()->size())
    return errorf("entry '{}': expected {} inputs, found {}", name, entry.inputs()->size(), inputs.size());
  std::vector<const Tensor *> tensors;
  std::vector<int64_t> symbols(state->file.program->symbols()->size(), -1);
  for (const fb::Port *port : *entry.inputs()) {
    LINNET_ASSIGN(const Tensor *tensor, state->input(entry, *port, inputs));
    LINNET_TRY(state->bind(entry, *port, *tensor, symbols));
    tensors.push_back(tensor);
  }
  for (uint32_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i] < 0) symbols[i] = entry.bounds()->Get(i);
    if (symbols[i] < 1 || symbols[i] > entry.bounds()->Get(i))
      return errorf("entry '{}': expected '{}' from 1 to {}, found {}", name,
                    state->file.program->symbols()->Get(i)->str(), entry.bounds()->Get(i), symbols[i]);
  }
  std::vector<std::span<const std::byte>> data;
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    LINNET_TRY(state->checkShape(entry, *entry.inputs()->Get(i), *tensors[i], symbols));
    data.push_back(tensors[i]->bytes);
  }
  LINNET_ASSIGN(std::vector<bool> wanted, state->choose(entry, outputs));
  LINNET_TRY(state->executable->run(static_cast<int>(number), symbols, data, wanted));
  return state->collect(entry, symbols, wanted);
}

const std::vector<PortInfo> &Graph::states() const { return state->states; }

Result<Tensor> Graph::readState(std::string_view name) {
  for (uint32_t i = 0; i < state->states.size(); ++i) {
    const PortInfo &info = state->states[i];
    if (info.name != name) continue;
    Tensor tensor{info.type, info.largest, {}};
    tensor.bytes.resize(state->file.program->states()->Get(i)->bytes());
    LINNET_TRY(state->executable->readState(name, tensor.bytes));
    return tensor;
  }
  return errorf("{}: has no state '{}'", state->file.artifact.path(), name);
}

Result<void> Graph::writeState(std::string_view name, std::span<const std::byte> bytes) {
  return state->executable->writeState(name, bytes);
}

void Graph::resetStates() { state->executable->resetStates(); }
MemoryUse Graph::memory() const { return state->executable->memory(); }

void Graph::setProfiler(std::shared_ptr<Profiler> profiler) {
  if (profiler) state->file.describeTo(*profiler);
  state->executable->setProfiler(std::move(profiler));
}

} // namespace linnet
