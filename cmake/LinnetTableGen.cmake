# mlir-tblgen as a build step, with a dependency file so that an edit of an included .td rebuilds what it should.
find_program(LINNET_MLIR_TBLGEN NAMES mlir-tblgen-19 mlir-tblgen HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
function(linnet_tablegen target td)
  set(outputs)
  set(args ${ARGN})
  while(args)
    list(POP_FRONT args out flags)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    set(path ${CMAKE_CURRENT_BINARY_DIR}/${out})
    add_custom_command(OUTPUT ${path}
      COMMAND ${LINNET_MLIR_TBLGEN} ${flags} -I ${MLIR_INCLUDE_DIRS} -I ${PROJECT_SOURCE_DIR}
              ${CMAKE_CURRENT_SOURCE_DIR}/${td} -o ${path} --write-if-changed -d ${path}.d
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${td} DEPFILE ${path}.d VERBATIM)
    list(APPEND outputs ${path})
  endwhile()
  add_custom_target(${target} DEPENDS ${outputs})
endfunction()
