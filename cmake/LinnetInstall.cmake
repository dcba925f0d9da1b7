# cmake --install: programs, liblinnet_runtime.so with its public headers, the compiler library, find_package(Linnet),
# pkg-config, manual pages, completions, documentation, examples. The components are those of the packages
# (LinnetPackages.cmake): runtime, compiler, dev, python. Only the last one needs --component to be installed: outside
# Debian packages, pip installs the module (docs/python.md).
include(CMakePackageConfigHelpers)
if(NOT TARGET linnet_runtime)
  return()
endif()
set(linnet_package ${CMAKE_INSTALL_LIBDIR}/cmake/Linnet)
set(linnet_doc ${CMAKE_INSTALL_DATADIR}/doc/linnet)

install(TARGETS linnet_runtime EXPORT LinnetTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
install(DIRECTORY runtime/include/linnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
if(TARGET linnet_compiler)
  install(TARGETS linnet_compiler EXPORT LinnetCompilerTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT compiler)
  install(EXPORT LinnetCompilerTargets NAMESPACE Linnet:: DESTINATION ${linnet_package} COMPONENT dev)
  # The headers that a plugin includes, under the paths of the source tree.
  set(linnet_detail ${CMAKE_INSTALL_INCLUDEDIR}/linnet/detail)
  install(DIRECTORY ir passes DESTINATION ${linnet_detail} COMPONENT dev FILES_MATCHING PATTERN "*.h")
  install(DIRECTORY ${CMAKE_BINARY_DIR}/ir ${CMAKE_BINARY_DIR}/passes DESTINATION ${linnet_detail} COMPONENT dev
    FILES_MATCHING PATTERN "*.h.inc" PATTERN CMakeFiles EXCLUDE PATTERN "*.dir" EXCLUDE)
  install(FILES support/error.h DESTINATION ${linnet_detail}/support COMPONENT dev)
  install(FILES cmake/LinnetPlugin.cmake DESTINATION ${linnet_package} COMPONENT dev)
endif()
install(TARGETS linnet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
if(TARGET linnet-opt)
  install(TARGETS linnet-opt RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT compiler)
endif()

# Manual pages and completions, which the program writes (tools/linnet/CMakeLists.txt).
if(TARGET linnet_manual)
  set(manual ${CMAKE_BINARY_DIR}/manual)
  install(DIRECTORY ${manual}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT runtime)
  install(FILES ${manual}/bash/linnet DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    COMPONENT runtime)
  install(FILES ${manual}/fish/linnet.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
    COMPONENT runtime)
  # Debian's zsh reads vendor-completions below /usr, and site-functions below /usr/local. Debian compresses pages.
  install(CODE "
    set(folder site-functions)
    if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
      set(folder vendor-completions)
      file(GLOB pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1/linnet*.1\")
      execute_process(COMMAND gzip -9nf \${pages} COMMAND_ERROR_IS_FATAL ANY)
    endif()
    file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${folder}\" TYPE FILE
      FILES \"${manual}/zsh/_linnet\")" COMPONENT runtime)
endif()

install(EXPORT LinnetTargets NAMESPACE Linnet:: DESTINATION ${linnet_package} COMPONENT dev)
# Paths in LinnetConfig.cmake and linnet.pc are relative to their folders, so that a prefix can be moved.
file(RELATIVE_PATH linnet_config_prefix /${linnet_package} /)
configure_package_config_file(cmake/LinnetConfig.cmake.in ${CMAKE_BINARY_DIR}/LinnetConfig.cmake
  INSTALL_DESTINATION ${linnet_package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/LinnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/LinnetConfig.cmake ${CMAKE_BINARY_DIR}/LinnetConfigVersion.cmake
  DESTINATION ${linnet_package} COMPONENT dev)
file(RELATIVE_PATH linnet_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/linnet.pc.in ${CMAKE_BINARY_DIR}/linnet.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/linnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${linnet_doc} COMPONENT dev)
install(DIRECTORY docs examples DESTINATION ${linnet_doc} COMPONENT dev)
install(CODE "
  set(linnet_sources \"${PROJECT_SOURCE_DIR}\")
  set(linnet_pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${linnet_doc}\")
  include(\"${PROJECT_SOURCE_DIR}/cmake/LinnetPages.cmake\")" COMPONENT dev)
install(DIRECTORY python/linnet DESTINATION lib/python3/dist-packages COMPONENT python EXCLUDE_FROM_ALL
  PATTERN __pycache__ EXCLUDE)
