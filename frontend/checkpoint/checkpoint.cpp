#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

namespace linnet {
namespace {

std::string joined(const std::string &directory, const std::string &file) {
  return (std::filesystem::path(directory) / file).string();
}

std::string directoryOf(const std::string &file) {
  std::string parent = std::filesystem::path(file).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string_view withoutPrefix(std::string_view name) {
  constexpr std::string_view kPrefix = "transformer.";
  return name.substr(0, kPrefix.size()) == kPrefix ? name.substr(kPrefix.size()) : name;
}

/// h.N.attn.bias and h.N.attn.masked_bias: the causal mask as a buffer, in old exports.
bool isMaskBuffer(std::string_view name) {
  if (name.substr(0, 2) != "h.") return false;
  size_t dot = name.find('.', 2);
  std::string_view rest = dot == std::string_view::npos ? "" : name.substr(dot);
  return rest == ".attn.bias" || rest == ".attn.masked_bias";
}

bool isWeightType(StorageType type) {
  switch (type) {
  case StorageType::f32:
  case StorageType::f16:
  case StorageType::bf16:
  case StorageType::q8_0:
  case StorageType::q4_0:
    return true;
  default:
    return false;
  }
}

/// The file that a shard's name stands for: inside the directory, nothing else.
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

} // namespace

std::vector<ExpectedTensor> expectedTensors(const Gpt2Config &c) {
  std::vector<ExpectedTensor> tensors = {{"wte.weight", {c.vocab_size, c.n_embd}},
                                         {"wpe.weight", {c.n_positions, c.n_embd}}};
  for (int64_t i = 0; i < c.n_layer; ++i) {
    auto add = [&](const char *name, std::vector<int64_t> shape) {
      tensors.push_back({fmt::format("h.{}.{}", i, name), std::move(shape)});
    };
    add("ln_1.weight", {c.n_embd});
    add("ln_1.bias", {c.n_embd});
    add("attn.c_attn.weight", {c.n_embd, 3 * c.n_embd});
    add("attn.c_attn.bias", {3 * c.n_embd});
    add("attn.c_proj.weight", {c.n_embd, c.n_embd});
    add("attn.c_proj.bias", {c.n_embd});
    add("ln_2.weight", {c.n_embd});
    add("ln_2.bias", {c.n_embd});
    add("mlp.c_fc.weight", {c.n_embd, c.n_inner});
    add("mlp.c_fc.bias", {c.n_inner});
    add("mlp.c_proj.weight", {c.n_inner, c.n_embd});
    add("mlp.c_proj.bias", {c.n_embd});
  }
  tensors.push_back({"ln_f.weight", {c.n_embd}});
  tensors.push_back({"ln_f.bias", {c.n_embd}});
  return tensors;
}

std::vector<ExpectedTensor> headTensors(const Gpt2Config &c) {
  std::vector<ExpectedTensor> tensors;
  int64_t width = c.n_embd, labels = static_cast<int64_t>(c.id2label.size());
  for (size_t i = 0; i < c.head.hidden.size(); ++i) {
    tensors.push_back({fmt::format("head.{}.weight", i), {width, c.head.hidden[i]}});
    tensors.push_back({fmt::format("head.{}.bias", i), {c.head.hidden[i]}});
    width = c.head.hidden[i];
  }
  tensors.push_back({"score.weight", {labels, width}});
  if (c.head.score_bias) tensors.push_back({"score.bias", {labels}});
  return tensors;
}

const TensorView *Checkpoint::find(std::string_view name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &list[found->second];
}

std::vector<std::string> Checkpoint::files() const { return read_files; }

namespace {
/// A .gguf by any other name: `linnet export -o model` wrote one, too.
bool startsAsGguf(const std::string &path) {
  auto file = MappedFile::open(path);
  return file && file->text().starts_with("GGUF");
}
} // namespace

Result<Checkpoint> Checkpoint::open(const std::string &path) {
  Checkpoint checkpoint;
  checkpoint.source = path;
  std::filesystem::path file(path);
  if (isDirectory(path)) {
    LINNET_TRY(checkpoint.readDirectory(joined(path, "config.json"), ""));
  } else if (!fileExists(path)) {
    return errorf("{}: no such file or directory", path);
  } else if (file.extension() == ".gguf" || startsAsGguf(path)) {
    LINNET_TRY(checkpoint.readGguf(path));
  } else if (file.extension() == ".safetensors") {
    LINNET_TRY(checkpoint.readDirectory((file.parent_path() / "config.json").string(), path));
  } else {
    return errorf(
        "{}: expected a directory with config.json and model.safetensors, a .safetensors or a .gguf file",
        path);
  }
  LINNET_TRY(checkpoint.check());
  return checkpoint;
}

Result<void> Checkpoint::readDirectory(const std::string &config_path, const std::string &weights_path) {
  file_format = "safetensors";
  if (!fileExists(config_path)) return errorf("{}: missing: a checkpoint has a config.json", config_path);
  LINNET_ASSIGN(settings, Gpt2Config::read(config_path));
  read_files.push_back(config_path);
  std::string directory = directoryOf(config_path);
  if (!settings.classifies()) LINNET_TRY(readGeneration(joined(directory, kGenerationConfig)));
  std::vector<std::string> shards;
  std::map<std::string, std::string> owner; // tensor -> shard, as the index says
  std::string single = weights_path.empty() ? joined(directory, "model.safetensors") : weights_path;
  std::string index_path = joined(directory, "model.safetensors.index.json");
  if (fileExists(single)) {
    shards.push_back(single);
  } else if (fileExists(index_path)) {
    read_files.push_back(index_path);
    LINNET_ASSIGN(Json json, readJsonFile(index_path, 8, 1 << 14));
    auto map = json.is_object() ? json.find("weight_map") : json.end();
    if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
      return errorf("{}: expected an object \"weight_map\" from tensors to files", index_path);
    std::set<std::string> names;
    for (auto &[tensor, shard] : map->items()) {
      if (!shard.is_string()) return errorf("{}: {}: expected a file name", index_path, tensor);
      owner[tensor] = shard.get<std::string>();
      names.insert(owner[tensor]);
    }
    for (const std::string &name : names) {
      LINNET_ASSIGN(std::string shard, shardPath(directory, name, index_path));
      shards.push_back(shard);
    }
  } else if (fileExists(joined(directory, "pytorch_model.bin"))) {
    return errorf(
        "{}: only pytorch_model.bin is here; Linnet reads model.safetensors (convert it with transformers)",
        directory);
  } else {
    return errorf("{}: missing (neither this nor {})", single, index_path);
  }
  const bool indexed = !owner.empty();
  for (const std::string &shard : shards) {
    read_files.push_back(shard);
    LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(shard));
    for (const TensorView &tensor : file.tensors()) {
      if (indexed) {
        auto said = owner.find(tensor.name);
        if (said == owner.end() || joined(directory, said->second) != shard)
          return errorf("{}: tensor \"{}\" is not where {} says", shard, tensor.name, index_path);
        owner.erase(said);
      }
      LINNET_TRY(add(tensor));
    }
  }
  if (!owner.empty())
    return errorf("{}: tensor \"{}\" is not in {}", index_path, owner.begin()->first, owner.begin()->second);
  return {};
}

Result<void> Checkpoint::readGeneration(const std::string &path) {
  LINNET_ASSIGN(auto generation, readGenerationConfig(path, settings.vocab_size));
  if (!generation) return {};
  settings.generation = std::move(*generation);
  read_files.push_back(path);
  return {};
}

Result<void> Checkpoint::add(TensorView tensor) {
  std::string name(withoutPrefix(tensor.name));
  if (isMaskBuffer(name)) {
    dropped.push_back(tensor.name);
    return {};
  }
  tensor.name = name;
  if (!index.emplace(name, list.size()).second)
    return errorf("{}: tensor \"{}\" is there twice, with and without the prefix transformer.",
                  tensor.file.path(), name);
  list.push_back(std::move(tensor));
  return {};
}

Result<void> Checkpoint::check() {
  std::vector<ExpectedTensor> expected = expectedTensors(settings);
  const TensorView *embedding = find("wte.weight"), *head = find("lm_head.weight");
  if (head && embedding) {
    // Exports often hold the tied head twice; only a head that differs makes the model untied.
    bool same = head->shape == embedding->shape && head->type == embedding->type &&
                head->bytes.size() == embedding->bytes.size() &&
                std::memcmp(head->bytes.data(), embedding->bytes.data(), head->bytes.size()) == 0;
    settings.tie_word_embeddings = same;
    if (!same) expected.push_back({"lm_head.weight", {settings.vocab_size, settings.n_embd}});
  } else if (!settings.tie_word_embeddings && settings.architecture == "GPT2LMHeadModel") {
    return errorf("{}: tie_word_embeddings is false and tensor \"lm_head.weight\" is missing", source);
  }
  if (settings.classifies()) {
    const TensorView *score = find("score.weight");
    if (settings.id2label.empty()) // as transformers names labels that have no names
      for (int64_t i = 0, labels = score && !score->shape.empty() ? score->shape[0] : 2; i < labels; ++i)
        settings.id2label[i] = fmt::format("LABEL_{}", i);
    settings.head.score_bias = find("score.bias") != nullptr;
    for (ExpectedTensor &tensor : headTensors(settings)) expected.push_back(std::move(tensor));
  }
  std::vector<TensorView> ordered;
  std::map<std::string, size_t, std::less<>> places;
  for (const ExpectedTensor &want : expected) {
    const TensorView *tensor = find(want.name);
    if (!tensor) return errorf("{}: tensor \"{}\" {} is missing", source, want.name, shapeText(want.shape));
    if (tensor->shape != want.shape)
      return errorf("{}: tensor \"{}\" is {}, the configuration asks for {}", tensor->file.path(), want.name,
                    shapeText(tensor->shape), shapeText(want.shape));
    if (!isWeightType(tensor->type))
      return errorf("{}: tensor \"{}\" has elements of type {}, expected F32, F16 or BF16",
                    tensor->file.path(), want.name, storageTypeName(tensor->type));
    places.emplace(want.name, ordered.size());
    ordered.push_back(*tensor);
  }
  for (const TensorView &tensor : list) {
    if (places.count(tensor.name) || tensor.name == "lm_head.weight") continue;
    return errorf("{}: tensor \"{}\" {} is not one of GPT-2's; it may change the numbers", tensor.file.path(),
                  tensor.name, shapeText(tensor.shape));
  }
  list = std::move(ordered);
  index = std::move(places);
  return {};
}

Result<std::optional<Tokenizer>> Checkpoint::tokenizer() const {
  std::optional<Tokenizer> found;
  if (gguf_tokenizer) {
    LINNET_ASSIGN(found, Tokenizer::fromParts(*gguf_tokenizer));
  } else if (file_format == "safetensors") {
    LINNET_ASSIGN(found, Tokenizer::fromDirectory(directoryOf(read_files.front())));
  }
  if (found && found->idLimit() > settings.vocab_size)
    return errorf("{}: the tokenizer has ids up to {}, the embedding (vocab_size) {} rows", source,
                  found->idLimit() - 1, settings.vocab_size);
  return found;
}

} // namespace linnet
