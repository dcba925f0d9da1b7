#include "compiler/dump/folder.h"

#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <filesystem>

namespace linnet::dump {
namespace {

namespace fs = std::filesystem;
constexpr const char *kList = "dump.json";

Result<std::set<std::string>> readList(const std::string &path) {
  LINNET_ASSIGN(Json json, readJsonFile(path));
  const auto found = json.is_object() ? json.find("linnet_dump") : json.end();
  if (!json.is_object() || found == json.end() || !found->is_array())
    return errorf("{}: expected the list of a dump's files under \"linnet_dump\"", path);
  std::set<std::string> files;
  for (const Json &name : *found)
    if (name.is_string()) files.insert(name.get<std::string>());
  return files;
}

} // namespace

Result<Folder> Folder::open(const std::string &path) {
  Folder folder;
  folder.path = path;
  std::error_code code;
  fs::create_directories(path, code);
  if (code || !fs::is_directory(path, code))
    return errorf("{}: cannot be made a folder for the dump: {}", path,
                  code ? code.message() : "it is a file");
  std::set<std::string> earlier;
  if (fileExists(path + "/" + kList)) {
    LINNET_ASSIGN(earlier, readList(path + "/" + kList));
  }
  std::vector<fs::path> ours, folders;
  for (fs::recursive_directory_iterator at(path, code), end; !code && at != end; at.increment(code)) {
    const std::string name = at->path().lexically_relative(path).generic_string();
    std::error_code ignored;
    if (at->is_directory(ignored) && !at->is_symlink(ignored))
      folders.push_back(at->path());
    else if (name != kList && !earlier.count(name))
      return errorf("{}: expected a new or empty folder or an earlier dump, found {} in it", path, name);
    else if (name != kList)
      ours.push_back(at->path());
  }
  if (code) return errorf("{}: cannot be read: {}", path, code.message());
  if (earlier.empty() && !folders.empty() && !fileExists(path + "/" + kList))
    return errorf("{}: expected a new or empty folder or an earlier dump, found {} in it", path,
                  folders.front().lexically_relative(path).generic_string());
  for (const fs::path &file : ours)
    if (!fs::remove(file, code) && code)
      return errorf("{}: cannot be removed: {}", file.string(), code.message());
  for (auto at = folders.rbegin(); at != folders.rend(); ++at) fs::remove(*at, code); // empty folders
  LINNET_TRY(folder.announce({}));
  return folder;
}

Result<void> Folder::announce(const std::vector<std::string> &names) {
  files.insert(names.begin(), names.end());
  Json json;
  json["linnet_dump"] = files;
  return writeTextFile(path + "/" + kList, json.dump(1) + "\n");
}

Result<void> Folder::write(const std::string &name, std::string_view text) {
  if (!files.count(name)) LINNET_TRY(announce({name}));
  const fs::path file = fs::path(path) / name;
  std::error_code code;
  fs::create_directories(file.parent_path(), code);
  if (code) return errorf("{}: cannot be created: {}", file.parent_path().string(), code.message());
  return writeTextFile(file.string(), text);
}

} // namespace linnet::dump
