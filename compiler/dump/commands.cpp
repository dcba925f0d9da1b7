#include "compiler/dump/commands.h"

#include "ir/Linnet.h"
#include "passes/Plan.h"

#include "llvm/ADT/STLExtras.h"

#include <set>

using namespace mlir;

namespace linnet::dump {

llvm::DenseMap<Operation *, Commands> commandsOf(func::FuncOp function) {
  llvm::DenseMap<Operation *, Commands> commands;
  std::set<int64_t> last; // of some op
  auto ops = function.getBody().front().without_terminator();
  for (Operation &op : ops)
    if (auto noted = op.getAttrOfType<DenseI64ArrayAttr>(kCommands); noted && !noted.empty())
      last.insert(noted.asArrayRef().back());
  for (Operation &op : ops) {
    auto noted = op.getAttrOfType<DenseI64ArrayAttr>(kCommands);
    if (!noted || noted.empty()) continue;
    Commands &own = commands[&op];
    own.last = own.first = static_cast<int>(noted.asArrayRef().back());
    for (int64_t number : llvm::reverse(noted.asArrayRef().drop_back()))
      if (!last.count(number)) own.first = static_cast<int>(number);
  }
  if (!commands.empty()) return commands;
  int next = 0;
  for (Operation &op : ops)
    if (!llvm::isa<ir::ParamOp, ir::ConstantOp>(op) && !op.hasAttr("linnet.view"))
      commands[&op] = {next, next}, ++next;
  return commands;
}

} // namespace linnet::dump
