# Read by cpack before it packs a folder. The folders of a package do not take the umask of the packer.
# file(CHMOD_RECURSE) fails for liblinnet-dev, which has a link into another package.
execute_process(COMMAND find "${CPACK_TEMPORARY_INSTALL_DIRECTORY}" -type d -exec chmod 755 {} +
  COMMAND_ERROR_IS_FATAL ANY)
