// Optimization and code generation by LLVM. Only this file includes LLVM's pass builder and code generator.
#include "backends/cpu/codegen.h"

#include "backends/cpu/emitter.h"
#include "support/error.h"

#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/Cloning.h>
#include <mutex>
#include <thread>

namespace linnet::cpu {
namespace {

void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
}

Result<std::unique_ptr<llvm::TargetMachine>> targetMachine(const Isa &isa) {
  std::string why;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(isa.triple, why);
  if (!target) return errorf("target cpu: LLVM has no code generator for {}: {}", isa.triple, why);
  llvm::TargetOptions options;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(isa.triple, isa.cpu, isa.extensions, options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

llvm::Function *declareKernel(llvm::Module &module, const KernelSource &kernel, const Isa &isa) {
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *integer = llvm::Type::getInt64Ty(context);
  auto *type =
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer, pointer, integer, integer}, false);
  auto *function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, kernel.name, module);
  function->setDoesNotThrow();
  function->addFnAttr("no-builtins"); // keeps copying loops as loops: the code has no memcpy to call
  function->addFnAttr("target-cpu", isa.cpu);
  if (!isa.extensions.empty()) function->addFnAttr("target-features", isa.extensions);
  if (!isa.tune.empty()) function->addFnAttr("tune-cpu", isa.tune);
  const std::string width = std::to_string(isa.lanes * 32);
  function->addFnAttr("prefer-vector-width", width);
  function->addFnAttr("min-legal-vector-width", width);
  for (int i = 0; i < 2; ++i) {
    function->addParamAttr(i, llvm::Attribute::NoAlias);
    function->addParamAttr(i, llvm::Attribute::ReadOnly);
  }
  return function;
}

/// Optimizes without LLVM's vectorizers and unroller: generators vectorize and unroll. LLVM's attempts would cost time
/// and code size.
void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false;
  tuning.LoopUnrolling = tuning.LoopInterleaving = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::TargetLibraryInfoImpl library{llvm::Triple(module.getTargetTriple())};
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

Result<std::string> emitFile(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  llvm::TargetLibraryInfoImpl library{llvm::Triple(module.getTargetTriple())};
  library.disableAllFunctions();
  passes.add(new llvm::TargetLibraryInfoWrapperPass(library));
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return errorf("target cpu: LLVM cannot emit this file for {}", module.getTargetTriple());
  passes.run(module);
  return std::string(bytes.data(), bytes.size());
}

/// Assembly with LLVM's comments on blocks and loops. Emitting changes a module, so this emits a clone: dumping does
/// not change the machine code.
Result<std::string> assemblyOf(const llvm::Module &module, llvm::TargetMachine &machine) {
  const std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
  machine.Options.MCOptions.AsmVerbose = true;
  auto assembly = emitFile(*copy, machine, llvm::CodeGenFileType::AssemblyFile);
  machine.Options.MCOptions.AsmVerbose = false;
  return assembly;
}

/// Writes all kernels into `module`. Returns whether one of them uses an instruction of isa.extensions.
bool writeKernels(llvm::Module &module, std::span<const KernelSource> kernels, const Isa &isa) {
  bool extended = false;
  for (const KernelSource &kernel : kernels) {
    Emitter emitter(declareKernel(module, kernel, isa), isa);
    kernel.emit(emitter);
    emitter.b.CreateRetVoid();
    extended |= emitter.extended;
  }
  return extended;
}

/// The object file for `isa`. Empty if it would be the same as the object for `poorer`, which may be null.
Result<std::string> compileUnlessSame(std::span<const KernelSource> kernels, const Isa &isa,
                                      const Isa *poorer, const KernelListener &listener) {
  initializeTargets();
  LINNET_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, targetMachine(isa));
  llvm::LLVMContext context;
  llvm::Module module("linnet", context);
  module.setTargetTriple(isa.triple);
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  if (!writeKernels(module, kernels, isa) && poorer && isa.onlyExtends(*poorer)) return std::string();
  std::string complaint;
  llvm::raw_string_ostream stream(complaint);
  if (llvm::verifyModule(module, &stream))
    return errorf("internal: kernel generator wrote bad code: {}", complaint);
  optimize(module, *machine);
  if (listener) {
    for (const KernelSource &kernel : kernels) {
      std::string text;
      llvm::raw_string_ostream out(text);
      module.getFunction(kernel.name)->print(out);
      listener({isa.name, kernel.name, "ll", text});
    }
    std::string whole;
    llvm::raw_string_ostream(whole) << module;
    listener({isa.name, "", "ll", whole});
    LINNET_ASSIGN(const std::string assembly, assemblyOf(module, *machine));
    listener({isa.name, "", "s", assembly});
  }
  return emitFile(module, *machine, llvm::CodeGenFileType::ObjectFile);
}

} // namespace

Result<std::string> compileKernels(std::span<const KernelSource> kernels, const Isa &isa,
                                   const KernelListener &listener) {
  return compileUnlessSame(kernels, isa, nullptr, listener);
}

Result<std::vector<std::string>> buildImages(std::span<const KernelSource> kernels, std::span<const Isa> isas,
                                             const KernelListener &listener) {
  std::vector<Result<std::string>> objects(isas.size(), Result<std::string>(std::string()));
  std::mutex listener_lock;
  const KernelListener locked = [&](const KernelText &text) {
    const std::lock_guard<std::mutex> lock(listener_lock);
    listener(text);
  };
  {
    std::vector<std::jthread> workers;
    for (size_t i = 0; i < isas.size(); ++i)
      workers.emplace_back([&, i] {
        const Isa *poorer = i + 1 < isas.size() ? &isas[i + 1] : nullptr;
        objects[i] = compileUnlessSame(kernels, isas[i], poorer, listener ? locked : KernelListener());
      });
  }
  std::vector<std::string> images;
  for (size_t i = 0; i < isas.size(); ++i) {
    if (!objects[i]) return objects[i].error();
    if (objects[i]->empty()) {
      images.emplace_back();
      continue;
    }
    LINNET_ASSIGN(std::string image, linkShared(*objects[i], isas[i]));
    images.push_back(std::move(image));
  }
  return images;
}

} // namespace linnet::cpu
