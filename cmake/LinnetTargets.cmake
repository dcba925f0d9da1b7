# One place for the flags that every target shares.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(linnet_launcher ${PROJECT_SOURCE_DIR}/cmake/compile-cached ${PROJECT_SOURCE_DIR} ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${linnet_launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${linnet_launcher})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
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
# Debian's LLVM is built without RTTI: a class derived from an LLVM class must be, too.
set(LINNET_COMPILE_OPTIONS -Wall -Wextra -Wno-unused-parameter -fno-strict-aliasing)
add_compile_options(${LINNET_COMPILE_OPTIONS})
# Time is spent in generated kernels, in oneDNN and in LLVM: what is hot here is named by linnet_hot or
# linnet_hot_sources, and everything else compiles a third faster with -O1.
add_compile_options($<$<CONFIG:Release>:-O1>)
set(LINNET_HOT $<$<CONFIG:Release>:-O3>)
function(linnet_hot target)
  target_compile_options(${target} PRIVATE ${LINNET_HOT})
endfunction()
function(linnet_hot_sources) # of the calling folder; without precompiled headers, which have another -O
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${LINNET_HOT})
  set_property(SOURCE ${ARGN} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
endfunction()
include_directories(${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/runtime/include ${CMAKE_CURRENT_BINARY_DIR})
if(LINNET_SANITIZE)
  # vptr checks need type information, which code that derives from LLVM classes is compiled without.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  # Lines for stack traces and little optimization: full debug information doubles the time of a compilation.
  add_compile_options(-O1 -g1)
endif()
if(LINNET_SANITIZE_THREADS)
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=thread)
endif()
if(LINNET_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Precompiled headers. GCC takes one only where it was made with the same macros, the same -O and the same kind of
# position independence, so each kind of target has its own. linnet_precompiled_headers(NAME HEADER...) makes one;
# linnet_precompiled(TARGET NAME) uses it. Headers are named in angle brackets: no path of this clone gets in.
# Clang also wants the same visibility, so the fuzz targets, which only it builds, do without.
set(CMAKE_DISABLE_PRECOMPILE_HEADERS ${LINNET_FUZZ})
function(linnet_precompiled_headers name)
  add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp)
  target_link_libraries(${name} PRIVATE fmt::fmt)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()
function(linnet_precompiled target name)
  target_link_libraries(${target} PRIVATE fmt::fmt) # it defines a macro
  set_target_properties(${target} PROPERTIES PRECOMPILE_HEADERS_REUSE_FROM ${name} DEFINE_SYMBOL "")
  add_dependencies(${target} ${name})
endfunction()
# Standard and formatting headers. Headers that few files include are left out: each file pays for every template that
# a header's inline functions mention, used or not (nlohmann/json.hpp: 0.6 s per file).
set(LINNET_CORE_HEADERS <algorithm> <cstdint> <cstring> <filesystem> <functional> <map> <memory> <optional> <span>
  <string> <unordered_map> <variant> <vector> <fmt/format.h>)

# linnet_in_batches(TARGET SIZE) compiles SIZE files of the target as one. The compiler then parses headers, and
# instantiates the templates that their inline functions mention, once a batch. CMake's unity build is not used: it
# includes files by absolute paths, and a second clone would miss the compiler cache. Names in unnamed namespaces must
# differ within a target. Hot files form batches of their own; files with other options are compiled alone.
# LINNET_BATCHES=OFF compiles each file alone: better while one file is edited again and again.
option(LINNET_BATCHES "Compile several files of a target as one" ON)
function(linnet_in_batches target size)
  if(LINNET_BATCHES)
    # Deferred (with the arguments of now): the options of files are known at the end of the folder's CMakeLists.txt.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL linnet_make_batches ${target} ${size})")
  endif()
endfunction()
function(linnet_make_batches target size)
  get_target_property(sources ${target} SOURCES)
  set(alone)
  set(plain)
  set(hot)
  foreach(source ${sources})
    get_source_file_property(options ${source} COMPILE_OPTIONS)
    get_source_file_property(definitions ${source} COMPILE_DEFINITIONS)
    if(definitions OR NOT source MATCHES "\\.cpp$")
      list(APPEND alone ${source})
    elseif(NOT options)
      list(APPEND plain ${source})
    elseif(options STREQUAL LINNET_HOT)
      list(APPEND hot ${source})
    else()
      list(APPEND alone ${source})
    endif()
  endforeach()
  foreach(kind plain hot)
    set(number 0)
    while(${kind})
      list(SUBLIST ${kind} 0 ${size} files)
      list(REMOVE_ITEM ${kind} ${files})
      set(text)
      foreach(source ${files})
        cmake_path(ABSOLUTE_PATH source NORMALIZE OUTPUT_VARIABLE path)
        cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
        string(APPEND text "#include \"${path}\"\n")
      endforeach()
      set(batch ${CMAKE_CURRENT_BINARY_DIR}/${target}_${kind}_${number}.cpp)
      file(CONFIGURE OUTPUT ${batch} CONTENT "${text}" @ONLY)
      list(APPEND alone ${batch})
      if(kind STREQUAL "hot") # quoted: hot is a list, too
        linnet_hot_sources(${batch})
      endif()
      math(EXPR number "${number} + 1")
    endwhile()
  endforeach()
  set_target_properties(${target} PROPERTIES SOURCES "${alone}")
endfunction()

# A library that includes MLIR or LLVM headers: no RTTI, their include folders as system headers.
function(linnet_mlir_library name)
  add_library(${name} STATIC ${ARGN})
  linnet_uses_mlir(${name})
  linnet_in_batches(${name} 6)
endfunction()
function(linnet_uses_mlir name)
  linnet_mlir_flags(${name})
  linnet_precompiled(${name} linnet_mlir_headers)
endfunction()
function(linnet_mlir_flags name)
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE -fno-rtti -Wno-unused-parameter -Wno-comment -fPIC)
  # MLIR tells types apart by the address of an inline variable: it must be one across the shared libraries.
  # LLVM is in a folder that the loader does not search: the installed files name it.
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF
    INSTALL_RPATH_USE_LINK_PATH ON)
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()
