#include "compiler/diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

#include <algorithm>

using namespace mlir;

namespace linnet {
namespace {

std::string oneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  constexpr size_t kLongest = 2000; // a hostile file may have tokens of any length
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

std::string lineOf(Diagnostic &diagnostic) {
  std::string place = locationText(diagnostic.getLocation());
  std::string text = (place.empty() ? "" : place + ": ") + diagnostic.str();
  for (Diagnostic &note : diagnostic.getNotes()) {
    if (StringRef(note.str()).starts_with("see current operation")) continue;
    text += "; " + note.str();
    break;
  }
  return oneLine(text);
}

} // namespace

std::string locationText(Location location) {
  if (auto file = llvm::dyn_cast<FileLineColLoc>(location))
    return file.getFilename().str() + ":" + std::to_string(file.getLine()) + ":" +
           std::to_string(file.getColumn());
  if (auto name = llvm::dyn_cast<NameLoc>(location)) {
    std::string child = locationText(name.getChildLoc());
    return child.empty() ? name.getName().str() : child;
  }
  if (auto fused = llvm::dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (std::string text = locationText(part); !text.empty()) return text;
  if (auto call = llvm::dyn_cast<CallSiteLoc>(location)) return locationText(call.getCallee());
  return "";
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error && first.empty())
          first = lineOf(diagnostic);
        return success();
      }) {}

Error DiagnosticCollector::error(const std::string &otherwise) const {
  return Error{first.empty() ? otherwise : first};
}

} // namespace linnet
