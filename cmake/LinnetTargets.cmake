# One place for the flags that every target shares.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
# Debian's LLVM is built without RTTI: a class derived from one of its own must be, too.
set(LINNET_COMPILE_OPTIONS -Wall -Wextra -Wno-unused-parameter -fno-strict-aliasing)
add_compile_options(${LINNET_COMPILE_OPTIONS})
include_directories(${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/runtime/include ${CMAKE_CURRENT_BINARY_DIR})
if(LINNET_SANITIZE)
  # vptr checks need type information, which code that derives from LLVM classes is compiled without.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  # Lines for stack traces and little optimization: full debug information doubles the time of a compilation.
  add_compile_options(-O1 -g1)
endif()
if(LINNET_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# A library that includes MLIR or LLVM headers: no RTTI, their include folders as system headers.
function(linnet_mlir_library name)
  add_library(${name} STATIC ${ARGN})
  linnet_uses_mlir(${name})
endfunction()
function(linnet_uses_mlir name)
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE -fno-rtti -Wno-unused-parameter -Wno-comment)
  # MLIR tells types apart by the address of an inline variable: it must be one across the shared libraries.
  # LLVM lies in a folder of its own that the loader does not search: what is installed names it.
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF
    INSTALL_RPATH_USE_LINK_PATH ON)
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()
