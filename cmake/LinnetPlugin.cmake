# linnet_add_pass_plugin(NAME SOURCE...): a module that linnet-opt and linnet compile load with --load-pass-plugin.
# It sees the dialect and the passes' helpers ("ir/Linnet.h", "passes/Counters.h", ...) and MLIR's own headers.
function(linnet_add_pass_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_VISIBILITY_PRESET default)
  target_include_directories(${name} SYSTEM PRIVATE ${LINNET_PLUGIN_INCLUDES} ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_features(${name} PRIVATE cxx_std_20)
  # Debian's LLVM is built without RTTI: a class derived from an LLVM class must be, too.
  target_compile_options(${name} PRIVATE -fno-rtti)
  target_link_libraries(${name} PRIVATE Linnet::linnet_compiler)
endfunction()
