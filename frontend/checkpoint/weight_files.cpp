#include "frontend/checkpoint/weight_files.h"
#include "frontend/checkpoint/pytorch.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <algorithm>
#include <filesystem>

namespace linnet {
namespace {

constexpr int kIndexDepth = 8;

std::string joined(const std::string &directory, const std::string &file) {
  return (std::filesystem::path(directory) / file).string();
}

/// The path of a shard. Names that lead outside the directory are errors.
Result<std::string> shardPath(const std::string &directory, const std::string &name,
                              const std::string &where) {
  if (name.empty() || name.size() > 255 || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos || name[0] == '.')
    return errorf("{}: shard \"{}\" is expected to be a file name in the same directory", where,
                  name.substr(0, 80));
  std::string path = joined(directory, name);
  if (!fileExists(path)) return errorf("{}: shard {} is missing", where, name);
  return path;
}

/// Reads an index: tensor -> shard.
Result<std::map<std::string, std::string>> readIndex(const std::string &path) {
  LINNET_ASSIGN(Json json, readJsonFile(path, kIndexDepth, kMaxTensors));
  auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
    return errorf("{}: expected an object \"weight_map\" from tensors to files", path);
  std::map<std::string, std::string> shards;
  for (auto &[tensor, shard] : map->items()) {
    if (!shard.is_string()) return errorf("{}: {}: expected a file name", path, tensor);
    shards[tensor] = shard.get<std::string>();
  }
  return shards;
}

Result<void> readFile(const std::string &path, WeightFiles &files) {
  files.paths.push_back(path);
  if (!path.ends_with(".safetensors")) {
    LINNET_ASSIGN(PytorchFile file, PytorchFile::open(path));
    files.tensors.insert(files.tensors.end(), file.tensors().begin(), file.tensors().end());
    return {};
  }
  LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(path));
  files.tensors.insert(files.tensors.end(), file.tensors().begin(), file.tensors().end());
  for (auto &[absent, present] : file.metadata()) // other metadata ("format") do not name tensors
    if (file.find(present) && !file.find(absent)) files.shared.emplace(absent, present);
  return {};
}

Result<void> readShards(const std::string &directory, const std::string &index_path, WeightFiles &files) {
  files.paths.push_back(index_path);
  LINNET_ASSIGN(auto owner, readIndex(index_path));
  std::map<std::string, std::string> shards; // name -> path
  for (auto &[tensor, shard] : owner)
    if (!shards.contains(shard)) {
      LINNET_ASSIGN(shards[shard], shardPath(directory, shard, index_path));
    }
  for (auto &[name, path] : shards) {
    const size_t first = files.tensors.size();
    LINNET_TRY(readFile(path, files));
    for (size_t i = first; i < files.tensors.size(); ++i) {
      auto said = owner.find(files.tensors[i].name);
      if (said == owner.end() || said->second != name)
        return errorf("{}: tensor \"{}\" is not where {} says", path, files.tensors[i].name, index_path);
      owner.erase(said);
    }
  }
  if (!owner.empty())
    return errorf("{}: tensor \"{}\" is not in {}", index_path, owner.begin()->first, owner.begin()->second);
  return {};
}

/// Weights of unsupported formats in the directory, for an error.
std::string otherWeights(const std::string &directory) {
  constexpr const char *kEndings[] = {".bin",     ".pt",   ".pth",  ".ckpt",       ".h5",
                                      ".msgpack", ".onnx", ".gguf", ".safetensors"};
  constexpr size_t kShown = 3;
  std::vector<std::string> found;
  std::error_code ignored;
  for (auto &entry : std::filesystem::directory_iterator(directory, ignored)) {
    std::string name = entry.path().filename().string();
    if (std::any_of(std::begin(kEndings), std::end(kEndings),
                    [&](auto ending) { return name.ends_with(ending); }))
      found.push_back(std::move(name));
  }
  if (found.empty()) return "";
  std::sort(found.begin(), found.end());
  const bool adapter =
      std::any_of(found.begin(), found.end(), [](auto &name) { return name.starts_with("adapter_model."); });
  if (adapter && found.size() == 1)
    return fmt::format("; {} is a PEFT adapter: merge it into its model first (merge_and_unload)", found[0]);
  if (found.size() > kShown) found.resize(kShown);
  return fmt::format("; here is {}", fmt::join(found, ", "));
}

} // namespace

Result<WeightFiles> readWeightFile(const std::string &path) {
  WeightFiles files;
  files.format = path.ends_with(".safetensors") ? "safetensors" : "pytorch";
  LINNET_TRY(readFile(path, files));
  return files;
}

Result<WeightFiles> readWeightDirectory(const std::string &directory) {
  for (const char *name : {"model.safetensors", "pytorch_model.bin"}) {
    std::string single = joined(directory, name), index = single + ".index.json";
    if (fileExists(single)) return readWeightFile(single);
    if (!fileExists(index)) continue;
    WeightFiles files;
    files.format = single.ends_with(".safetensors") ? "safetensors" : "pytorch";
    LINNET_TRY(readShards(directory, index, files));
    return files;
  }
  return errorf("{}: missing (as are model.safetensors.index.json, pytorch_model.bin and its index){}",
                joined(directory, "model.safetensors"), otherWeights(directory));
}

} // namespace linnet
