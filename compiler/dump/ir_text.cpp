#include "compiler/dump/ir_text.h"

#include "compiler/dump/build_graph.h"
#include "ir/Locations.h"
#include "ir/Shapes.h"

#include "mlir/IR/AsmState.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <vector>

using namespace mlir;

namespace linnet::dump {
namespace {

bool isNameLetter(char c) { return llvm::isAlnum(c) || c == '$' || c == '.' || c == '_' || c == '-'; }

/// A valid name after '%'.
std::string valueName(llvm::StringRef text) {
  std::string name;
  for (char c : text.take_front(80)) name += isNameLetter(c) ? c : '_';
  if (name.empty() || llvm::isDigit(name.front()) || name.front() == '-') name.insert(0, 1, '_');
  return name;
}

/// The printer's name and the new name of each value, in the order of their definitions in the text, because
/// values of different regions share numbers.
class Names {
public:
  Names(ModuleOp module, AsmState &state) : state(state) {
    for (Operation &op : *module.getBody()) {
      taken.clear();
      for (Region &region : op.getRegions()) nameRegion(region, llvm::dyn_cast<FunctionOpInterface>(op));
    }
  }
  /// The text with the new names. Parts with an unexpected form are unchanged.
  std::string apply(llvm::StringRef text) const;

private:
  void nameRegion(Region &region, FunctionOpInterface function) {
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        name(argument, function ? argumentName(function, argument.getArgNumber())
                                : llvm::formatv("in{0}", argument.getArgNumber()).str());
      for (Operation &op : block) nameOp(op);
    }
  }

  void nameOp(Operation &op) {
    if (op.getNumResults()) {
      std::string place = ir::locationName(op.getLoc());
      llvm::StringRef kind = op.getName().stripDialect();
      if (auto param = llvm::dyn_cast<ir::ParamOp>(op))
        name(op.getResult(0), param.getName());
      else
        name(op.getResult(0), place.empty() ? kind.str() : place + "." + kind.str());
    }
    for (Region &region : op.getRegions()) nameInner(region);
  }

  /// Names the values of a region that is isolated from above; the printer numbers them from 0.
  void nameInner(Region &region) {
    llvm::StringMap<unsigned> outer = std::move(taken);
    taken.clear();
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        name(argument, llvm::formatv("in{0}", argument.getArgNumber()).str());
      int next = 0;
      for (Operation &op : block) {
        if (op.getNumResults()) name(op.getResult(0), llvm::formatv("t{0}", next++).str());
        for (Region &inner : op.getRegions()) nameInner(inner);
      }
    }
    taken = std::move(outer);
  }

  static std::string argumentName(FunctionOpInterface function, unsigned i) {
    llvm::StringRef given = ir::argState(function, i);
    if (given.empty()) given = ir::argName(function, i);
    return given.empty() ? llvm::formatv("arg{0}", i).str() : given.str();
  }

  void name(Value value, llvm::StringRef wanted) {
    std::string base = valueName(wanted), chosen = base;
    if (!taken.try_emplace(base, 1).second) {
      unsigned number = taken[base];
      do chosen = llvm::formatv("{0}_{1}", base, ++number).str();
      while (!taken.try_emplace(chosen, 1).second);
      taken[base] = number;
    }
    std::string printed;
    llvm::raw_string_ostream out(printed);
    value.printAsOperand(out, state);
    names.emplace_back(llvm::StringRef(printed).split('#').first.drop_front().str(), chosen);
  }

  AsmState &state;
  llvm::StringMap<unsigned> taken; ///< name -> last appended number
  std::vector<std::pair<std::string, std::string>> names;
};

/// Offset after the string literal that begins at `at`.
size_t endOfString(llvm::StringRef text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

std::string Names::apply(llvm::StringRef text) const {
  std::string out;
  llvm::StringMap<llvm::StringRef> current;
  size_t next = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      size_t end = endOfString(text, at);
      out += text.slice(at, end), at = end;
      continue;
    }
    out += text[at++];
    if (out.back() != '%') continue;
    llvm::StringRef name = text.drop_front(at).take_while(isNameLetter);
    at += name.size();
    llvm::StringRef rest = text.drop_front(at);
    if (rest.starts_with(" = ") || rest.starts_with(":")) { // defined here
      if (next == names.size() || names[next].first != name) return text.str();
      current[name] = names[next++].second;
    }
    auto found = current.find(name);
    if (found == current.end()) return text.str();
    out += found->second;
  }
  return out;
}

} // namespace

std::string irText(ModuleOp module) {
  OpPrintingFlags flags;
  flags.enableDebugInfo(false).elideLargeElementsAttrs(16);
  AsmState state(module.getOperation(), flags);
  std::string text;
  llvm::raw_string_ostream out(text);
  module->print(out, state);
  return Names(module, state).apply(text) + "\n";
}

} // namespace linnet::dump
