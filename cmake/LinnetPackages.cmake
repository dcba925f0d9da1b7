# cpack: packages for Debian (one for each component of LinnetInstall.cmake) and a .tar.gz of all but python3-linnet.
#   linnet-runtime   what runs artifacts: the program, liblinnet_runtime.so, manual pages, completions
#   linnet-compiler  liblinnet_compiler.so, which the program loads, and linnet-opt
#   liblinnet-dev    headers, find_package, pkg-config, documentation, examples
#   python3-linnet   the module linnet, over the C interface
# dpkg-shlibdeps computes the dependencies on other packages. oneDNN and Vulkan's loader are loaded when a program
# needs them, so that they are only suggested.
set(CPACK_PACKAGE_NAME linnet)
set(CPACK_PACKAGE_VENDOR "The Linnet authors")
set(CPACK_PACKAGE_CONTACT "The Linnet authors <linnet@example.org>" CACHE STRING "Maintainer of the packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "compiler and runtime for language models")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/LinnetPackageModes.cmake)
set(CPACK_COMPONENTS_ALL runtime dev python)
if(TARGET linnet_compiler)
  list(APPEND CPACK_COMPONENTS_ALL compiler)
endif()
# A .tar.gz holds all its components, packages of Debian one each.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/LinnetPackageKinds.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib) # one package's library in another one
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# Debian names a package for each major version of oneDNN: that of the headers, as the library's name.
file(STRINGS ${LINNET_ONEDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h linnet_onednn REGEX "define DNNL_VERSION_MAJOR ")
string(REGEX REPLACE "[^0-9]" "" linnet_onednn "${linnet_onednn}")
set(linnet_onednn libdnnl${linnet_onednn})

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME linnet-runtime)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "This package runs what the compiler made: the program linnet and its library.
They generate texts, serve OpenAI's HTTP API, embed and classify.
Artifacts run without a compiler.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "linnet-compiler, ${linnet_onednn}, libvulkan1")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/debian/triggers)

set(CPACK_DEBIAN_COMPILER_PACKAGE_NAME linnet-compiler)
set(CPACK_DEBIAN_COMPILER_DESCRIPTION "This package contains the library that linnet compile and linnet finetune load,
and linnet-opt. It needs MLIR and LLVM.")
set(CPACK_DEBIAN_COMPILER_PACKAGE_DEPENDS "linnet-runtime (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_COMPILER_PACKAGE_SUGGESTS "${linnet_onednn}")
set(CPACK_DEBIAN_COMPILER_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/debian/triggers)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME liblinnet-dev)
set(CPACK_DEBIAN_DEV_DESCRIPTION "This package contains the C and C++ headers of the runtime library,
files for CMake and pkg-config, documentation and examples.")
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "linnet-runtime (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "linnet-compiler, libmlir-19-dev, llvm-19-dev, mlir-19-tools") # for plugins

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-linnet)
set(CPACK_DEBIAN_PYTHON_DESCRIPTION "This package contains the Python module linnet: models, sessions and
batches, with results as numpy arrays.")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS
  "linnet-runtime (= ${PROJECT_VERSION}), python3 (>= 3.9), python3-numpy (>= 1:1.22)")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS "linnet-compiler")
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/debian/postinst
  ${PROJECT_SOURCE_DIR}/cmake/debian/prerm)

# Files that Debian's policy asks of each package.
string(TIMESTAMP linnet_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(cmake/debian/changelog.in ${CMAKE_BINARY_DIR}/debian/changelog @ONLY)
foreach(name runtime:linnet-runtime compiler:linnet-compiler dev:liblinnet-dev python:python3-linnet)
  string(REPLACE ":" ";" name ${name})
  list(GET name 0 component)
  list(GET name 1 package)
  install(CODE "
    if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
      set(folder \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/doc/${package}\")
      file(INSTALL DESTINATION \"\${folder}\" TYPE FILE
        FILES \"${PROJECT_SOURCE_DIR}/cmake/debian/copyright\" \"${CMAKE_BINARY_DIR}/debian/changelog\")
      execute_process(COMMAND gzip -9nf \"\$ENV{DESTDIR}\${folder}/changelog\" COMMAND_ERROR_IS_FATAL ANY)
      if(EXISTS \"${PROJECT_SOURCE_DIR}/cmake/debian/${package}.lintian-overrides\")
        file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/lintian/overrides\" TYPE FILE
          FILES \"${PROJECT_SOURCE_DIR}/cmake/debian/${package}.lintian-overrides\" RENAME ${package})
      endif()
    endif()" COMPONENT ${component})
endforeach()

include(CPack)
