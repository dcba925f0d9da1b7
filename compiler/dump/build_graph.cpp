#include "compiler/dump/build_graph.h"

#include "compiler/dump/svg.h"
#include "ir/Locations.h"
#include "ir/Shapes.h"
#include "passes/Plan.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

using namespace mlir;

namespace linnet::dump {
using namespace ir;
namespace {

template <class T> std::string printed(const T &thing) {
  std::string text;
  llvm::raw_string_ostream out(text);
  thing.print(out);
  return text;
}

/// Appends every name in the location, in order, without duplicates.
void gatherNames(Location location, std::vector<std::string> &names) {
  if (auto fused = llvm::dyn_cast<FusedLoc>(location)) {
    for (Location part : fused.getLocations()) gatherNames(part, names);
    return;
  }
  std::string name = locationName(location);
  if (!name.empty() && !llvm::is_contained(names, name)) names.push_back(std::move(name));
}

std::string roleOf(Operation *op, Value operand) {
  if (auto matmul = llvm::dyn_cast<MatmulOp>(op)) {
    if (operand == matmul.getBias()) return "bias";
    if (operand == matmul.getResidual()) return "residual";
    if (operand == matmul.getScale()) return "scale";
    return operand == matmul.getLhs() ? "" : "rhs";
  }
  if (auto attention = llvm::dyn_cast<AttentionOp>(op)) {
    if (operand == attention.getQ()) return "q";
    if (operand == attention.getK()) return "k";
    if (operand == attention.getV()) return "v";
    return operand == attention.getPast() ? "past" : "length";
  }
  if (auto append = llvm::dyn_cast<CacheAppendOp>(op)) {
    if (operand == append.getCache()) return "cache";
    return operand == append.getEntries() ? "entries" : "past";
  }
  if (auto embed = llvm::dyn_cast<EmbedOp>(op)) return operand == embed.getIds() ? "ids" : "table";
  if (auto rotary = llvm::dyn_cast<RotaryOp>(op))
    return operand == rotary.getOperand() ? "" : operand == rotary.getTable() ? "table" : "positions";
  if (auto pool = llvm::dyn_cast<PoolOp>(op)) return operand == pool.getLength() ? "length" : "";
  if (auto positions = llvm::dyn_cast<PositionsOp>(op))
    return operand == positions.getPast() ? "past" : "ids";
  return "";
}

std::string attributeText(Attribute attribute) {
  if (auto number = llvm::dyn_cast<FloatAttr>(attribute))
    return fmt::format("{:.6g}", number.getValueAsDouble());
  if (auto list = llvm::dyn_cast<DenseI64ArrayAttr>(attribute))
    return llvm::join(llvm::map_range(list.asArrayRef(), [](int64_t i) { return std::to_string(i); }), " ");
  auto integer = llvm::dyn_cast<IntegerAttr>(attribute);
  if (integer && !integer.getType().isInteger(1)) return std::to_string(integer.getInt());
  std::string text = printed(attribute);
  // An enumeration of the dialect, "#linnet<gelu_form tanh>".
  if (size_t from = text.rfind(' '); llvm::StringRef(text).starts_with("#linnet<") && from != text.npos)
    return text.substr(from + 1, text.size() - from - 2);
  return text;
}

/// Texts of the attributes that affect the computation; those of the memory plan are omitted.
std::vector<std::string> detailsOf(Operation *op) {
  std::vector<std::string> details;
  if (auto matmul = llvm::dyn_cast<MatmulOp>(op)) {
    std::vector<std::string> parts;
    if (matmul.getTransposeLhs()) parts.emplace_back("lhs transposed");
    if (matmul.getTransposeRhs()) parts.emplace_back("rhs transposed");
    if (matmul.getBias()) parts.emplace_back("+ bias");
    if (matmul.getActivation() != Activation::none)
      parts.push_back("then " + stringifyActivation(matmul.getActivation()).str());
    if (matmul.getResidual()) parts.emplace_back("+ residual");
    if (!parts.empty()) details.push_back(llvm::join(parts, ", "));
    return details;
  }
  for (NamedAttribute attribute : op->getAttrs()) {
    llvm::StringRef name = attribute.getName();
    if (name.starts_with("linnet.") || name == "operandSegmentSizes" || name == "value") continue;
    std::string value = attributeText(attribute.getValue());
    if (name != "group" || value != "0") details.push_back(name.str() + " " + value);
  }
  // Short attributes share a line.
  std::vector<std::string> lines;
  for (std::string &detail : details)
    if (!lines.empty() && lines.back().size() + detail.size() < 40)
      lines.back() += ", " + detail;
    else
      lines.push_back(std::move(detail));
  return lines;
}

/// Lines such as "t0 = add a, b". Inputs are letters in the order of the op's operands; constants are
/// literals.
std::vector<std::string> bodyOf(FusedOp fused) {
  llvm::DenseMap<Value, std::string> names;
  std::vector<std::string> lines;
  Block &block = fused.getBody().front();
  auto listed = [&](Operation &op) {
    std::vector<std::string> operands;
    for (Value operand : op.getOperands()) operands.push_back(names.lookup(operand));
    return llvm::join(operands, ", ");
  };
  for (BlockArgument argument : block.getArguments()) {
    unsigned i = argument.getArgNumber();
    names[argument] = i < 26 ? std::string(1, static_cast<char>('a' + i)) : "in" + std::to_string(i);
  }
  int next = 0;
  for (Operation &op : block.without_terminator()) {
    if (auto constant = llvm::dyn_cast<ConstantOp>(op)) {
      auto number = llvm::dyn_cast<FloatAttr>(constant.getValue());
      names[op.getResult(0)] =
          number ? fmt::format("{:.6g}", number.getValueAsDouble()) : printed(constant.getValue());
      continue;
    }
    std::string name = "t" + std::to_string(next++);
    std::string attributes = llvm::join(detailsOf(&op), ", ");
    lines.push_back(fmt::format("{} = {} {}{}", name, op.getName().stripDialect().str(), listed(op),
                                attributes.empty() ? "" : " (" + attributes + ")"));
    names[op.getResult(0)] = name;
  }
  lines.push_back("yield " + listed(*block.getTerminator()));
  if (auto kind = fused.getReduce())
    lines.push_back("then " + stringifyReduceKind(*kind).str() + " of each row");
  return lines;
}

class Builder {
public:
  explicit Builder(func::FuncOp function) : function(function) {}

  Graph build() {
    for (BlockArgument argument : function.getArguments())
      if (argument.use_empty()) addInput(argument);
    for (Operation &op : function.getBody().front().without_terminator()) {
      if (llvm::isa<ParamOp, ConstantOp>(op)) continue;
      for (Value operand : op.getOperands())
        if (auto argument = llvm::dyn_cast<BlockArgument>(operand)) addInput(argument, &op);
      addOp(&op);
    }
    addReturns();
    return std::move(graph);
  }

private:
  int64_t bytesOf(Value value) {
    auto type = llvm::dyn_cast<RankedTensorType>(value.getType());
    return type ? maxBytes(type, function).value_or(-1) : -1;
  }

  void addValue(Value value) {
    int64_t bytes = bytesOf(value);
    std::string type = typeText(value.getType());
    index[value] = static_cast<int>(graph.values.size());
    graph.nodes.back().results.push_back(index[value]);
    graph.values.push_back(
        {static_cast<int>(graph.nodes.size()) - 1, type, type + " · " + bytesText(bytes), bytes});
  }

  /// Adds an input before its first reader, so that a cache is drawn in its layer.
  void addInput(BlockArgument argument, Operation *reader = nullptr) {
    if (index.count(argument)) return;
    unsigned i = argument.getArgNumber();
    GraphNode node;
    llvm::StringRef state = argState(function, i), name = argName(function, i);
    node.kind = state.empty() ? GraphNode::input : GraphNode::state;
    // A state belongs to its layer. Another input does only if it would split the layer's frame.
    const std::string layer = reader ? layerOf(placeOf(reader)) : "";
    const bool inside = !graph.nodes.empty() && graph.nodes.back().layer == layer;
    if (!state.empty() || inside) node.layer = layer;
    node.name = !state.empty() ? state.str() : name.empty() ? "arg" + std::to_string(i) : name.str();
    graph.nodes.push_back(std::move(node));
    addValue(argument);
  }

  void addOp(Operation *op) {
    GraphNode node;
    node.kind = kindOf(op);
    node.view = op->hasAttr("linnet.view");
    node.in_place = op->hasAttr("linnet.in_place");
    if (computes(op)) node.number = next++;
    node.name = op->getName().stripDialect().str();
    node.place = placeOf(op);
    node.layer = layerOf(node.place);
    node.details = detailsOf(op);
    if (auto fused = llvm::dyn_cast<FusedOp>(op)) node.body = bodyOf(fused);
    addOperands(op, node);
    node.memory = memoryOf(op, node);
    graph.nodes.push_back(std::move(node));
    for (Value result : op->getResults()) addValue(result);
  }

  void addOperands(Operation *op, GraphNode &node) {
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      std::string role = roleOf(op, operand);
      if (node.kind == GraphNode::fused) role = i < 26 ? std::string(1, static_cast<char>('a' + i)) : "";
      Operation *from = operand.getDefiningOp();
      if (auto param = llvm::dyn_cast_or_null<ParamOp>(from)) {
        std::string line = fmt::format("{} {}, {}", param.getName().str(), typeText(param.getType()),
                                       bytesText(bytesOf(operand)));
        node.weights.push_back(role.size() == 1 ? role + " = " + line : line);
        continue;
      }
      if (llvm::isa_and_nonnull<ConstantOp>(from)) {
        node.weights.push_back("constant " + typeText(operand.getType()));
        continue;
      }
      auto found = index.find(operand);
      if (found == index.end()) continue;
      auto same = llvm::find_if(node.uses, [&](const GraphUse &use) { return use.value == found->second; });
      if (same == node.uses.end())
        node.uses.push_back({found->second, role});
      else if (!role.empty() && !same->role.empty())
        same->role += ", " + role;
    }
  }

  std::string memoryOf(Operation *op, GraphNode &node) {
    if (node.view) return "";
    std::vector<std::string> places;
    if (auto commands = op->getAttrOfType<DenseI64ArrayAttr>(kCommands))
      places.push_back(commands[0] == commands[1]
                           ? fmt::format("command {}", commands[1])
                           : fmt::format("commands {} to {}", commands[0], commands[1]));
    if (node.in_place) places.emplace_back("in place, in its operand's buffer");
    for (OpResult result : op->getResults()) {
      const Placement place = placementOf(result);
      if (place.kind == Placement::output) places.emplace_back("in the output's memory");
      if (place.kind != Placement::slot) continue;
      bool over = overwrites(op, place);
      node.in_place |= over;
      places.push_back(
          fmt::format("arena {} + {}{}", place.offset, place.size, over ? ", over its operand" : ""));
    }
    return llvm::join(places, "; ");
  }

  static bool overwrites(Operation *op, const Placement &place) {
    return llvm::any_of(op->getOperands(), [&](Value operand) {
      Placement from = placementOf(storageOf(operand).base);
      return from.kind == Placement::slot && from.offset < place.offset + place.size &&
             place.offset < from.offset + from.size;
    });
  }

  void addReturns() {
    Operation *end = function.getBody().front().getTerminator();
    for (OpOperand &use : end->getOpOperands()) {
      unsigned i = use.getOperandNumber();
      auto found = index.find(use.get());
      if (found == index.end()) continue;
      llvm::StringRef state = resultState(function, i), name = resultName(function, i);
      graph.nodes[graph.values[found->second].node].returns.push_back(
          !state.empty() ? "state " + state.str()
                         : "output " + (name.empty() ? "result" + std::to_string(i) : name.str()));
    }
  }

  func::FuncOp function;
  Graph graph;
  llvm::DenseMap<Value, int> index;
  int next = 0;
};

std::string boundsText(func::FuncOp function) {
  std::vector<std::string> names, parts;
  auto add = [&](Type type) {
    auto tensor = llvm::dyn_cast<RankedTensorType>(type);
    if (!tensor) return;
    for (StringAttr name : dimsOf(tensor))
      if (!llvm::is_contained(names, name.str())) names.push_back(name.str());
  };
  for (Type type : function.getArgumentTypes()) add(type);
  for (Type type : function.getResultTypes()) add(type);
  for (const std::string &name : names)
    if (auto bound = boundOf(function, name)) parts.push_back(fmt::format("{} ≤ {}", name, *bound));
  return parts.empty() ? "" : "bytes at the bounds: " + llvm::join(parts, ", ");
}

} // namespace

bool computes(Operation *op) {
  return !llvm::isa<ParamOp, ConstantOp>(op) && !op->hasAttr("linnet.view") &&
         !op->hasTrait<OpTrait::IsTerminator>();
}

std::string typeText(Type type) {
  auto tensor = llvm::dyn_cast<RankedTensorType>(type);
  if (!tensor) return printed(type);
  std::string text;
  for (const Dim &dim : shapeOf(tensor)) text += (dim.name ? dim.name.str() : std::to_string(dim.size)) + "×";
  if (text.empty())
    text = "scalar ";
  else
    text.replace(text.size() - std::string("×").size(), std::string::npos, " ");
  text += printed(tensor.getElementType());
  if (PanelAttr panel = panelOf(tensor))
    text +=
        fmt::format(" panel {}×{}{}", panel.getKBlock(), panel.getNBlock(), panel.getTransposed() ? "ᵀ" : "");
  return text;
}

std::string placeOf(Operation *op) {
  std::vector<std::string> names;
  gatherNames(op->getLoc(), names);
  if (names.size() > 3) {
    std::string more = fmt::format("{} more", names.size() - 2);
    names.resize(2);
    names.push_back(more);
  }
  return llvm::join(names, " + ");
}

std::string layerOf(const std::string &place) {
  size_t begin = 0;
  while (begin < place.size()) {
    size_t end = std::min(place.find_first_of(". ", begin), place.size());
    bool number = end > begin && llvm::all_of(place.substr(begin, end - begin), llvm::isDigit);
    if (number && begin > 0) return place.substr(0, end);
    if (end < place.size() && place[end] == ' ') break;
    begin = end + 1;
  }
  return "";
}

GraphNode::Kind kindOf(Operation *op) {
  if (llvm::isa<MatmulOp, ContractOp>(op)) return GraphNode::matmul;
  if (llvm::isa<AttentionOp, AttentionGradOp, MaskOp, SoftmaxOp>(op)) return GraphNode::attention;
  if (llvm::isa<FusedOp, ElementwiseOpInterface, DropoutOp, AdamWOp, QuantizeOp>(op)) return GraphNode::fused;
  if (llvm::isa<EmbedOp, PositionsOp, RotaryOp, RotaryTableOp>(op)) return GraphNode::lookup;
  if (llvm::isa<FlopsOpInterface, QuantizeScaleOp, PoolGradOp>(op)) return GraphNode::norm; // or a reduction
  if (op->getDialect() == op->getContext()->getLoadedDialect<LinnetDialect>()) return GraphNode::move;
  return GraphNode::other;
}

Graph graphOf(func::FuncOp function, const std::string &stage) {
  Graph graph = Builder(function).build();
  graph.entry = function.getName().str();
  graph.title = "@" + graph.entry + ", " + stage;
  graph.subtitle = boundsText(function);
  return graph;
}

} // namespace linnet::dump
