# cmake --install: programs, liblinnet_runtime.so with its public headers, the compiler library, find_package(Linnet).
include(CMakePackageConfigHelpers)
if(NOT TARGET linnet_runtime)
  return()
endif()
set(linnet_package ${CMAKE_INSTALL_LIBDIR}/cmake/Linnet)

install(TARGETS linnet_runtime EXPORT LinnetTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY runtime/include/linnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET linnet_compiler)
  install(TARGETS linnet_compiler EXPORT LinnetTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  # The headers that a plugin includes, under the paths of the source tree.
  set(linnet_detail ${CMAKE_INSTALL_INCLUDEDIR}/linnet/detail)
  install(DIRECTORY ir passes DESTINATION ${linnet_detail} FILES_MATCHING PATTERN "*.h")
  install(DIRECTORY ${CMAKE_BINARY_DIR}/ir ${CMAKE_BINARY_DIR}/passes DESTINATION ${linnet_detail}
    FILES_MATCHING PATTERN "*.h.inc" PATTERN CMakeFiles EXCLUDE)
  install(FILES support/error.h DESTINATION ${linnet_detail}/support)
  install(FILES cmake/LinnetPlugin.cmake DESTINATION ${linnet_package})
endif()
foreach(program linnet linnet-opt)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
# What the program writes about itself (tools/linnet/CMakeLists.txt).
if(TARGET linnet_manual)
  # Debian's zsh reads vendor-completions below /usr, and site-functions below /usr/local.
  set(LINNET_ZSH_FOLDER site-functions CACHE STRING "Folder below share/zsh for zsh's completions")
  set(manual ${CMAKE_BINARY_DIR}/manual)
  install(DIRECTORY ${manual}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(FILES ${manual}/bash/linnet DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${manual}/zsh/_linnet DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${LINNET_ZSH_FOLDER})
  install(FILES ${manual}/fish/linnet.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
install(EXPORT LinnetTargets NAMESPACE Linnet:: DESTINATION ${linnet_package})
configure_package_config_file(cmake/LinnetConfig.cmake.in ${CMAKE_BINARY_DIR}/LinnetConfig.cmake
  INSTALL_DESTINATION ${linnet_package} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/LinnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/LinnetConfig.cmake ${CMAKE_BINARY_DIR}/LinnetConfigVersion.cmake
  DESTINATION ${linnet_package})
