# Read by cpack once for each kind of package.
if(CPACK_GENERATOR STREQUAL "DEB")
  find_program(dpkg_shlibdeps dpkg-shlibdeps)
  if(NOT dpkg_shlibdeps) # cpack would make packages without dependencies
    message(FATAL_ERROR "expected the program dpkg-shlibdeps, found none: install the package dpkg-dev")
  endif()
  set(CPACK_COMPONENTS_GROUPING IGNORE) # a package for each component
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
else()
  set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)
  list(REMOVE_ITEM CPACK_COMPONENTS_ALL python) # the module loads the library of the system or of its wheel
endif()
