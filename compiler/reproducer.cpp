#include "compiler/reproducer.h"

#include "support/file.h"

namespace linnet {

std::string shellWord(const std::string &text) {
  constexpr const char *kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return text;
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string moduleText(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module->print(out, mlir::OpPrintingFlags().enableDebugInfo(true).useLocalScope());
  out << "\n";
  return text;
}

Result<std::string> writeReproducer(mlir::ModuleOp module, const std::string &text, const std::string &fault,
                                    const CompileOptions &options) {
  const std::string path = options.crash_file.empty() ? options.output + ".crash.mlir" : options.crash_file;
  std::string command = "linnet-opt";
  for (const std::string &plugin : options.pass_plugins)
    command += " --load-pass-plugin=" + shellWord(plugin);
  command += " --pass-pipeline=" + shellWord("builtin.module(" + text + ")") + " " + shellWord(path);
  LINNET_TRY(writeTextFile(path, "// " + fault + "\n// " + command + "\n" + moduleText(module)));
  return path;
}

} // namespace linnet
