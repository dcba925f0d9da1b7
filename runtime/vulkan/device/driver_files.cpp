#include "runtime/vulkan/device/driver_files.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <string_view>

namespace linnet::vulkan {
namespace {

namespace fs = std::filesystem;

std::string variable(const char *name, const char *otherwise = "") {
  const char *value = std::getenv(name);
  return value && *value ? value : otherwise;
}

/// Splits "a:b" into a and b. Empty parts are ignored.
std::vector<std::string> partsOf(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t end = std::min(list.find(':'), list.size());
    if (end) parts.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

/// Adds `path`, or the sorted .json files if it is a folder.
void addFiles(const std::string &path, std::vector<std::string> &files) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return files.push_back(path);
  std::vector<std::string> found;
  for (fs::directory_iterator entry(path, ignored), end; entry != end; entry.increment(ignored))
    if (entry->path().extension() == ".json") found.push_back(entry->path());
  std::sort(found.begin(), found.end());
  for (std::string &file : found)
    if (std::find(files.begin(), files.end(), file) == files.end()) files.push_back(std::move(file));
}

/// The folders that the loader searches on Linux ("Driver Discovery" in its documentation).
std::vector<std::string> searchedFolders() {
  const std::string home = variable("HOME");
  std::vector<std::string> bases;
  auto add = [&](const std::string &list) {
    for (std::string &base : partsOf(list)) bases.push_back(std::move(base));
  };
  add(variable("XDG_CONFIG_HOME", (home + "/.config").c_str()));
  add(variable("XDG_CONFIG_DIRS", "/etc/xdg"));
  add("/etc");
  add(variable("XDG_DATA_HOME", (home + "/.local/share").c_str()));
  add(variable("XDG_DATA_DIRS", "/usr/local/share:/usr/share"));
  std::vector<std::string> folders;
  for (const std::string &base : bases) folders.push_back(base + "/vulkan/icd.d");
  return folders;
}

/// The path of the driver's library in the file; empty if it has none.
std::string libraryOf(const Json &json, const std::string &file) {
  auto icd = json.is_object() ? json.find("ICD") : json.end();
  if (icd == json.end() || !icd->is_object()) return "";
  auto path = icd->find("library_path");
  if (path == icd->end() || !path->is_string()) return "";
  const fs::path library(path->get<std::string>());
  // A bare name is searched on the library path.
  const bool relative = library.is_relative() && library.has_parent_path();
  return relative ? (fs::path(file).parent_path() / library).string() : library.string();
}

/// The fault of the first unusable driver file; empty if there is none.
std::string firstFault() {
  for (const std::string &file : driverFiles())
    if (std::string fault = driverFileFault(file); !fault.empty()) return fault;
  return "";
}

} // namespace

std::vector<std::string> driverFiles() {
  std::vector<std::string> files;
  const std::string named = variable("VK_DRIVER_FILES", variable("VK_ICD_FILENAMES").c_str());
  for (const std::string &path : named.empty() ? std::vector<std::string>() : partsOf(named))
    addFiles(path, files);
  std::error_code ignored;
  if (named.empty())
    for (const std::string &folder : searchedFolders())
      if (fs::is_directory(folder, ignored)) addFiles(folder, files);
  for (const std::string &path : partsOf(variable("VK_ADD_DRIVER_FILES"))) addFiles(path, files);
  return files;
}

std::string driverFileFault(const std::string &path) {
  auto text = readTextFile(path);
  if (!text) return "driver file " + text.error().message;
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fmt::format("driver file {}: expected JSON, found something else", path);
  const std::string library = libraryOf(json, path);
  if (library.empty()) return fmt::format("driver file {}: expected ICD.library_path, found none", path);
  void *opened = dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL); // stays open, because drivers keep threads
  if (!opened) return fmt::format("driver file {}: its library cannot be opened: {}", path, dlerror());
  for (const char *entry : {"vk_icdGetInstanceProcAddr", "vkGetInstanceProcAddr"})
    if (dlsym(opened, entry)) return "";
  return fmt::format("driver file {}: {} is not a Vulkan driver", path, library);
}

Error startError(VkResult result) {
  if (std::string fault = firstFault(); !fault.empty()) return errorf("Vulkan: cannot start: {}", fault);
  if (driverFiles().empty())
    return Error{"no Vulkan driver: none is installed (Debian: mesa-vulkan-drivers, or the GPU's own)"};
  return check(result, "cannot start").error();
}

Error noDeviceError() {
  std::string fault = firstFault();
  if (!fault.empty()) fault = "; " + fault;
  return errorf("no Vulkan device: no driver finds hardware that it can use (drivers: {}){}",
                fmt::join(driverFiles(), ", "), fault);
}

} // namespace linnet::vulkan
