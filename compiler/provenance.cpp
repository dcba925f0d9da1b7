#include "compiler/provenance.h"

#include "runtime/artifact/hash.h"
#include "support/error.h"
#include "support/file.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <span>

namespace linnet {

Result<std::string> contentKey(const std::vector<std::string> &files) {
  std::vector<uint64_t> hashes;
  for (const std::string &path : files) {
    LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
    StreamingHash hash;
    hash.append(file.bytes());
    hashes.push_back(hash.digest());
  }
  std::sort(hashes.begin(), hashes.end()); // the order of files in a folder is arbitrary
  StreamingHash all;
  all.append(std::as_bytes(std::span(hashes)));
  return fmt::format("xxh3-64 {:016x}", all.digest());
}

void removeFolders(mlir::ModuleOp module) {
  mlir::AttrTypeReplacer replacer;
  replacer.addReplacement([](mlir::FileLineColLoc location) -> mlir::Attribute {
    const llvm::StringRef name = llvm::sys::path::filename(location.getFilename().getValue());
    return mlir::FileLineColLoc::get(location.getContext(), name, location.getLine(), location.getColumn());
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/false, /*replaceLocs=*/true,
                                        /*replaceTypes=*/false);
}

} // namespace linnet
