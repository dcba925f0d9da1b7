#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/names.h"
#include "frontend/checkpoint/weight_files.h"
#include "frontend/model/chat_template.h"
#include "frontend/model/family.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/file.h"
#include "support/hub_name.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace linnet {
namespace {

std::string joined(const std::string &directory, const std::string &file) {
  return (std::filesystem::path(directory) / file).string();
}

std::string directoryOf(const std::string &file) {
  std::string parent = std::filesystem::path(file).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool isWeightType(StorageType type) {
  return type == StorageType::f32 || type == StorageType::f16 || type == StorageType::bf16 ||
         isQuantized(type);
}

} // namespace

const TensorView *Checkpoint::find(std::string_view name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &list[found->second];
}

std::vector<std::string> Checkpoint::files() const { return read_files; }

namespace {
bool isWeightFile(std::string_view name) {
  for (const char *ending : {".safetensors", ".bin", ".pt", ".pth"})
    if (name.ends_with(ending)) return true;
  return false;
}
} // namespace

Result<Checkpoint> Checkpoint::open(const std::string &path, const ConfigSettings &overrides) {
  Checkpoint checkpoint;
  checkpoint.source = path;
  if (isDirectory(path)) {
    LINNET_TRY(checkpoint.readDirectory(path, "", overrides));
    LINNET_TRY(checkpoint.check());
    return checkpoint;
  }
  if (!fileExists(path))
    return errorf("{}: No such file or directory{}", path, pullHint(path, hubNameOf(path)));
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  if (std::string fault = contentFault(file.text()); !fault.empty()) return errorf("{}: {}", path, fault);
  // A GGUF file may have another name: `linnet export -o model` can write one.
  if (path.ends_with(".gguf") || file.text().starts_with("GGUF")) {
    if (!overrides.empty())
      return errorf("{}: --set is for config.json, which a .gguf file does not have", path);
    LINNET_TRY(checkpoint.readGguf(path));
  } else if (isWeightFile(path)) {
    LINNET_TRY(checkpoint.readDirectory(directoryOf(path), path, overrides));
  } else {
    return errorf("{}: expected a directory with config.json and model.safetensors, a .safetensors, .bin or "
                  ".gguf file",
                  path);
  }
  LINNET_TRY(checkpoint.check());
  return checkpoint;
}

Result<void> Checkpoint::readDirectory(const std::string &directory, const std::string &weights_path,
                                       const ConfigSettings &overrides) {
  const std::string config_path = joined(directory, "config.json");
  if (!fileExists(config_path)) return errorf("{}: missing: a checkpoint has a config.json", config_path);
  LINNET_ASSIGN(settings, ModelDescription::read(config_path, overrides));
  LINNET_ASSIGN(WeightFiles files,
                weights_path.empty() ? readWeightDirectory(directory) : readWeightFile(weights_path));
  file_format = files.format;
  read_files = {config_path};
  if (!settings.classifies()) {
    LINNET_TRY(readGeneration(joined(directory, kGenerationConfig)));
    LINNET_ASSIGN(ChatTemplateFile file, readChatTemplate(directory));
    settings.chat_template = std::move(file.text);
    if (!file.path.empty()) read_files.push_back(file.path);
  }
  read_files.insert(read_files.end(), files.paths.begin(), files.paths.end());
  for (const TensorView &tensor : files.tensors) LINNET_TRY(add(tensor, tensor.name));
  for (auto &[absent, present] : files.shared)
    for (const TensorView &tensor : files.tensors)
      if (tensor.name == present && !find(canonicalName(absent, settings.family->names().body_prefix)))
        LINNET_TRY(add(tensor, absent));
  return {};
}

Result<void> Checkpoint::readGeneration(const std::string &path) {
  LINNET_ASSIGN(auto generation, readGenerationConfig(path, settings.vocab_size));
  if (!generation) return {};
  settings.generation = std::move(*generation);
  read_files.push_back(path);
  return {};
}

Result<void> Checkpoint::add(TensorView tensor, const std::string &stored_name) {
  if (isAdapterPart(stored_name))
    return errorf("{}: tensor \"{}\" belongs to a PEFT adapter: merge it into the model first "
                  "(merge_and_unload)",
                  tensor.file.path(), stored_name);
  std::string name = canonicalName(stored_name, settings.family->names().body_prefix);
  if (settings.family->isUnused(name)) {
    dropped.push_back(stored_name);
    return {};
  }
  auto [place, is_new] = index.emplace(name, list.size());
  if (!is_new)
    return errorf("{}: tensor \"{}\" is there twice, as \"{}\" and as \"{}\"", tensor.file.path(), name,
                  stored_names[place->second], stored_name);
  tensor.name = name;
  list.push_back(std::move(tensor));
  stored_names.push_back(stored_name);
  return {};
}

/// An error about a missing tensor. It names an existing one: the tensor with the same end of its name, else
/// the first.
Error Checkpoint::missing(const TensorSpec &want) const {
  std::string message =
      fmt::format("{}: tensor \"{}\" {} is missing", source, want.name, shapeText(want.shape));
  if (list.empty()) return Error{message + "; the file holds no tensor"};
  size_t nearest = 0;
  while (nearest < list.size() && !stored_names[nearest].ends_with("." + want.name)) ++nearest;
  const bool alike = nearest < list.size();
  return errorf("{}; {} of the {} that are there is \"{}\" {}", message, alike ? "nearest" : "the first",
                list.size(), stored_names[alike ? nearest : 0], shapeText(list[alike ? nearest : 0].shape));
}

/// Determines whether the head has a separate matrix, and sets `expected`.
Result<void> Checkpoint::resolveHead() {
  expected = settings.family->tensors(settings);
  auto ofRole = [&](TensorRole role) {
    return std::find_if(expected.begin(), expected.end(),
                        [role](const TensorSpec &spec) { return spec.role == role; });
  };
  const auto own = ofRole(TensorRole::head);
  if (own == expected.end()) return {};
  const TensorSpec wanted = *own, table = *ofRole(TensorRole::embedding);
  const bool needed = !settings.tie_word_embeddings && settings.task == ModelTask::language_model;
  // A tied tensor may have either of its names in the file.
  if (const TensorView *tied = find(wanted.name); tied && settings.tie_word_embeddings && !find(table.name))
    LINNET_TRY(add(*tied, table.name));
  const TensorView *embedding = find(table.name), *head = find(wanted.name);
  if (head && !embedding)
    return errorf("{}: tensor \"{}\" {} is missing; \"{}\" is there, but tie_word_embeddings is false",
                  source, table.name, shapeText(table.shape), wanted.name);
  if (!head && needed) return errorf("{} (tie_word_embeddings is false)", missing(wanted).message);
  if (head) {
    // Exports often hold the tied matrix twice. The model is untied only if the two differ.
    settings.tie_word_embeddings =
        head->shape == embedding->shape && head->type == embedding->type &&
        head->transposed == embedding->transposed && head->bytes.size() == embedding->bytes.size() &&
        std::memcmp(head->bytes.data(), embedding->bytes.data(), head->bytes.size()) == 0;
    if (settings.tie_word_embeddings) unread = wanted.name;
  }
  if (!head || settings.tie_word_embeddings) expected.erase(own);
  return {};
}

Result<void> Checkpoint::check() {
  LINNET_TRY(resolveHead());
  if (settings.classifies()) {
    const TensorView *score = find("score.weight");
    if (settings.id2label.empty()) // transformers' names of unnamed labels
      for (int64_t i = 0, labels = score && !score->shape.empty() ? score->shape[0] : 2; i < labels; ++i)
        settings.id2label[i] = fmt::format("LABEL_{}", i);
    settings.head.score_bias = find("score.bias") != nullptr;
    for (TensorSpec &tensor : settings.classifierTensors()) expected.push_back(std::move(tensor));
  }
  std::vector<TensorView> ordered;
  std::map<std::string, size_t, std::less<>> places;
  for (const TensorSpec &want : expected) {
    const TensorView *tensor = find(want.name);
    if (!tensor) return missing(want);
    if (tensor->shape != want.shape)
      return errorf("{}: tensor \"{}\" is {}, the configuration asks for {}", tensor->file.path(), want.name,
                    shapeText(tensor->shape), shapeText(want.shape));
    if (!isWeightType(tensor->type))
      return errorf("{}: tensor \"{}\" has elements of type {}, expected F32, F16 or BF16",
                    tensor->file.path(), want.name, storageTypeName(tensor->type));
    places.emplace(want.name, ordered.size());
    ordered.push_back(*tensor);
  }
  for (size_t i = 0; i < list.size(); ++i) {
    if (places.count(list[i].name) || list[i].name == unread) continue;
    return errorf("{}: tensor \"{}\" {} is not one of {}'s; it may change the numbers", list[i].file.path(),
                  stored_names[i], shapeText(list[i].shape), settings.family->names().title);
  }
  list = std::move(ordered);
  index = std::move(places);
  stored_names.clear();
  return {};
}

Result<std::optional<Tokenizer>> Checkpoint::tokenizer() const {
  std::optional<Tokenizer> found;
  if (gguf_tokenizer) {
    LINNET_ASSIGN(found, Tokenizer::fromParts(*gguf_tokenizer));
  } else if (file_format != "gguf") {
    LINNET_ASSIGN(found, Tokenizer::fromDirectory(directoryOf(read_files.front())));
  }
  if (found && found->idLimit() > settings.vocab_size)
    return errorf("{}: the tokenizer has ids up to {}, the embedding (vocab_size) {} rows", source,
                  found->idLimit() - 1, settings.vocab_size);
  return found;
}

} // namespace linnet
