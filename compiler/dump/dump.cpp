#include "compiler/dump/dump.h"

#include "compiler/dump/assembly.h"
#include "compiler/dump/build_graph.h"
#include "compiler/dump/ir_text.h"
#include "compiler/dump/plan_picture.h"
#include "compiler/dump/svg.h"
#include "ir/Shapes.h"

#include "mlir/Pass/Pass.h"

#include <fmt/format.h>
#include <set>

using namespace mlir;

namespace linnet::dump {
namespace {

size_t countOps(ModuleOp module) {
  size_t count = 0;
  module.walk([&](Operation *op) { count += !llvm::isa<ModuleOp, func::FuncOp>(op); });
  return count;
}

class Recorder : public PassInstrumentation {
public:
  Recorder(Dump &dump, ModuleOp module, const std::vector<PhaseTime> &phases)
      : dump(dump), module(module), phases(phases) {}
  void runAfterPass(Pass *pass, Operation *) override { note(pass, false); }
  void runAfterPassFailed(Pass *pass, Operation *) override { note(pass, true); }

private:
  void note(Pass *pass, bool failed) {
    const std::string name = pass->getArgument().str();
    if (name.empty()) return; // an adaptor only runs other passes
    const bool timed = !phases.empty() && phases.back().name == name;
    dump.afterPass(name, module, timed ? phases.back().seconds : 0, failed);
  }
  Dump &dump;
  ModuleOp module;
  const std::vector<PhaseTime> &phases;
};

/// Entries with the beginnings of their files' names. These are unique even if the functions' names differ
/// only in characters that file names cannot have.
std::vector<std::pair<func::FuncOp, std::string>> entriesOf(ModuleOp module) {
  std::vector<std::pair<func::FuncOp, std::string>> entries;
  std::set<std::string> taken;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!ir::isEntry(function)) continue;
    const std::string base = fileName(function.getName().str());
    std::string name = base;
    for (int i = 2; !taken.insert(name).second; ++i) name = base + "_" + std::to_string(i);
    entries.emplace_back(function, name);
  }
  return entries;
}

} // namespace

Result<std::unique_ptr<Dump>> Dump::open(const std::string &directory) {
  LINNET_ASSIGN(Folder folder, Folder::open(directory));
  return std::unique_ptr<Dump>(new Dump(std::move(folder)));
}

void Dump::write(const std::string &name, std::string_view content) {
  if (state) state = folder.write(name, content);
}

void Dump::graphs(ModuleOp module, const std::string &stage, const std::string &title) {
  for (auto &[function, name] : entriesOf(module)) {
    const Graph graph = graphOf(function, title);
    const std::string base = targets.back().target + "/" + name + "." + stage;
    write(base + ".dot", toDot(graph));
    write(base + ".svg", toSvg(graph));
  }
}

void Dump::begin(const std::string &target, ModuleOp module) {
  targets.push_back({});
  targets.back().target = target;
  text = irText(module), ops = countOps(module);
  write(target + "/00-input.mlir", text);
  for (auto &[function, name] : entriesOf(module))
    targets.back().entries.push_back({function.getName().str(), name});
  graphs(module, "input", "before the first pass");
}

std::unique_ptr<PassInstrumentation> Dump::instrumentation(ModuleOp module,
                                                           const std::vector<PhaseTime> &phases) {
  return std::make_unique<Recorder>(*this, module, phases);
}

void Dump::afterPass(const std::string &name, ModuleOp module, double seconds, bool failed) {
  TargetRecord &target = targets.back();
  PassRecord pass{name, "", seconds, ops, countOps(module), failed, ""};
  std::string now = irText(module);
  if (now != text) {
    pass.file =
        fmt::format("{:02}-{}{}.mlir", target.passes.size() + 1, fileName(name), failed ? ".failed" : "");
    write(target.target + "/" + pass.file, now);
  }
  text = std::move(now), ops = pass.after;
  target.passes.push_back(std::move(pass));
}

void Dump::crashed(const std::string &pass, const std::string &how) {
  targets.back().passes.push_back({pass, "", 0, ops, ops, true, how});
}

Result<void> Dump::planned(ModuleOp module) {
  targets.back().planned = true;
  graphs(module, "final", "after the last pass for " + targets.back().target);
  for (auto &[function, name] : entriesOf(module)) {
    const std::string picture = planPicture(function);
    if (picture.empty()) continue;
    write(targets.back().target + "/" + name + ".memory.svg", picture);
    for (EntryRecord &entry : targets.back().entries) entry.planned |= entry.file == name;
  }
  return state;
}

KernelListener Dump::kernelListener() {
  return [this](const KernelText &kernel) {
    const std::string level(kernel.level), form(kernel.form);
    if (!kernel.name.empty())
      addKernel(std::string(kernel.name), level, form, kernel.text);
    else if (form == "s") // LLVM's assembly of all functions
      for (const auto &[name, part] : splitAssembly(kernel.text)) addKernel(name, level, form, part);
  };
}

void Dump::addKernel(const std::string &name, const std::string &isa, const std::string &ending,
                     std::string_view content) {
  const std::string file = fmt::format("kernels/{}/{}.{}", fileName(isa), fileName(name), ending);
  kernels[targets.back().target + "/" + file] = content;
  targets.back().kernels.push_back({name, isa, file});
}

void Dump::writeKernels(const fb::ProgramT &program) {
  for (const auto &entry : program.entries)
    for (const auto &command_of : entry->commands) {
      const fb::CommandT &command = *command_of;
      const std::string user = fmt::format("{} {}", entry->name, command.location);
      const auto *call = command.body.AsKernelCall();
      const auto *matmul = command.body.AsPackedMatmul();
      const size_t kernel = call ? call->kernel : matmul ? matmul->kernel : program.kernels.size();
      if (kernel < program.kernels.size()) targets.back().uses[program.kernels[kernel]].push_back(user);
      if (const auto *dispatch = command.body.AsDispatch())
        for (const auto &choice : dispatch->choices)
          for (const auto &step : choice->steps)
            targets.back().uses[program.shaders[step->shader]->name].push_back(user);
    }
  std::vector<std::string> names;
  for (const auto &[name, ignored] : kernels) names.push_back(name);
  if (state && !names.empty()) state = folder.announce(names);
  for (const auto &[name, content] : kernels) write(name, content);
  kernels.clear();
}

Result<void> Dump::finish(const std::string &title, const std::string &subtitle,
                          const std::vector<PhaseTime> &phases) {
  write("index.html", indexPage(title, subtitle, targets, phases));
  return state;
}

} // namespace linnet::dump
