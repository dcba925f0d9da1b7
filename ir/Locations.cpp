#include "ir/Locations.h"

using namespace mlir;

namespace linnet::ir {

std::string locationName(Location location) {
  if (auto named = llvm::dyn_cast<NameLoc>(location)) {
    const std::string inner = locationName(named.getChildLoc());
    return llvm::isa<NameLoc>(named.getChildLoc()) ? inner : named.getName().str();
  }
  if (auto fused = llvm::dyn_cast<FusedLoc>(location)) {
    for (Location part : fused.getLocations()) {
      const std::string name = locationName(part);
      if (!name.empty()) return name;
    }
    return {};
  }
  if (auto call = llvm::dyn_cast<CallSiteLoc>(location)) return locationName(call.getCallee());
  if (auto file = llvm::dyn_cast<FileLineColLoc>(location))
    return file.getFilename().str() + ":" + std::to_string(file.getLine());
  return {};
}

} // namespace linnet::ir
