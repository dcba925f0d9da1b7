#include "frontend/checkpoint/export.h"
#include "frontend/checkpoint/gguf_model.h"
#include "frontend/model/chat_template.h"
#include "frontend/model/family.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/staging.h"

#include <algorithm>
#include <filesystem>
#include <memory>

namespace linnet {
namespace {

uint64_t totalBytes(const Checkpoint &checkpoint) {
  uint64_t total = 0;
  for (const TensorView &tensor : checkpoint.tensors()) total += 4 * tensor.elements();
  return total;
}

/// The tensor converted to `type` in pieces; `swap` writes the transpose. `paired_heads`: in the order of rows that
/// TensorView::paired_heads describes.
TensorToWrite converted(const TensorView &tensor, const std::string &name, StorageType type, bool swap,
                        const std::function<void(uint64_t)> &wrote, int64_t paired_heads = 0) {
  TensorView view = tensor;
  if (paired_heads) view.paired_heads = view.paired_heads ? 0 : -paired_heads;
  if (swap) {
    // The transpose of a stored transpose is the storage itself.
    std::swap(view.shape[0], view.shape[1]);
    view.transposed = !view.transposed;
  }
  auto write = [view, type,
                wrote](const std::function<Result<void>(std::span<const std::byte>)> &sink) -> Result<void> {
    std::vector<float> values;
    std::vector<std::byte> bytes;
    // Whole rows, about a megabyte at a time, because a transposed view is read faster in many rows at once.
    uint64_t row = view.shape.empty() ? 1 : std::max<uint64_t>(1, static_cast<uint64_t>(view.shape.back()));
    uint64_t step = std::max<uint64_t>(1, (1 << 20) / row) * row;
    for (uint64_t i = 0, count = view.elements(); i < count; i += values.size()) {
      values.resize(std::min(step, count - i));
      bytes.clear();
      LINNET_TRY(readF32(view, i, values));
      encode(type, values, bytes);
      LINNET_TRY(sink(bytes));
      if (wrote) wrote(4 * values.size());
    }
    return {};
  };
  return {name, type, view.shape, write};
}

} // namespace

TensorToWrite convertedTensor(const TensorView &tensor, const std::string &name, StorageType type) {
  return converted(tensor, name, type, false, {});
}

Result<void> saveTokenizer(const Tokenizer &tokenizer, const ModelDescription &config,
                           const std::string &directory) {
  const bool missing = config.pad_token_id && !tokenizer.padId() && *config.pad_token_id <= kMaxTokenId;
  if (!missing || !tokenizer.isToken(static_cast<TokenId>(*config.pad_token_id)))
    return tokenizer.save(directory);
  TokenizerParts parts = tokenizer.parts();
  parts.pad = static_cast<TokenId>(*config.pad_token_id);
  LINNET_ASSIGN(Tokenizer padded, Tokenizer::fromParts(parts));
  return padded.save(directory);
}

std::string exportedName(const TensorSpec &tensor, const ModelDescription &config) {
  const bool head = tensor.role == TensorRole::head || tensor.role == TensorRole::classifier;
  return head ? tensor.name : config.family->names().body_prefix + tensor.name;
}

const char *torchName(StorageType type) {
  return type == StorageType::f16 ? "float16" : type == StorageType::bf16 ? "bfloat16" : "float32";
}

namespace {

std::function<void(uint64_t)> counter(const Checkpoint &checkpoint, const Progress &progress,
                                      const std::string &what) {
  if (!progress) return {};
  return [=, done = std::make_shared<uint64_t>(0), total = totalBytes(checkpoint)](uint64_t bytes) {
    progress(*done += bytes, total, what);
  };
}

} // namespace

Result<StorageType> parseStorageType(std::string_view text) {
  for (auto [name, type] : {std::pair("f32", StorageType::f32), std::pair("f16", StorageType::f16),
                            std::pair("bf16", StorageType::bf16), std::pair("q8_0", StorageType::q8_0),
                            std::pair("q4_0", StorageType::q4_0)})
    if (text == name) return type;
  return errorf("unknown type \"{}\"; there are f32, f16, bf16, q8_0, q4_0", text);
}

Result<void> exportSafetensors(const Checkpoint &checkpoint, StorageType type, const std::string &directory,
                               const Progress &progress) {
  if (isQuantized(type))
    return errorf("safetensors has no {}; expected f32, f16 or bf16", storageTypeName(type));
  LINNET_ASSIGN(StagingDirectory staging, StagingDirectory::create(directory));
  std::vector<TensorToWrite> tensors;
  auto wrote = counter(checkpoint, progress, "model.safetensors");
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i)
    tensors.push_back(converted(checkpoint.tensors()[i],
                                exportedName(checkpoint.specs()[i], checkpoint.config()), type, false,
                                wrote));
  LINNET_TRY(writeSafetensors(staging.path() + "/model.safetensors", tensors, {{"format", "pt"}}));
  Json json = checkpoint.config().toJson();
  json["torch_dtype"] = torchName(type);
  LINNET_TRY(writeTextFile(staging.path() + "/config.json", json.dump(2) + "\n"));
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, checkpoint.tokenizer());
  if (tokenizer) LINNET_TRY(saveTokenizer(*tokenizer, checkpoint.config(), staging.path()));
  if (!checkpoint.config().classifies())
    LINNET_TRY(writeGenerationConfig(checkpoint.config().generation, staging.path()));
  LINNET_TRY(writeChatTemplate(checkpoint.config().chat_template, staging.path()));
  return staging.commit();
}

Result<std::vector<std::string>> exportGguf(const Checkpoint &checkpoint, StorageType type,
                                            const std::string &path, const Progress &progress) {
  const ModelDescription &config = checkpoint.config();
  const FamilyNames &names = config.family->names();
  if (std::string why = config.family->notInGguf(config); !why.empty())
    return errorf("{}: {}", checkpoint.path(), why);
  if (config.classifies())
    return errorf("{}: llama.cpp's {} has no classification head", checkpoint.path(), names.title);
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, checkpoint.tokenizer());
  std::vector<TensorToWrite> tensors;
  auto wrote = counter(checkpoint, progress, path);
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const TensorView &tensor = checkpoint.tensors()[i];
    const TensorSpec &spec = checkpoint.specs()[i];
    const bool swap = spec.transposed_in_gguf,
               matrix = tensor.shape.size() == 2 && spec.role != TensorRole::positions;
    int64_t row = swap ? tensor.shape[0] : tensor.shape.back();
    StorageType stored = !matrix ? StorageType::f32 : isQuantized(type) && row % 32 ? StorageType::f16 : type;
    tensors.push_back(converted(tensor, spec.gguf, stored, swap, wrote, spec.paired_heads));
  }
  int file_type = type == StorageType::f16    ? 1
                  : type == StorageType::q4_0 ? 2
                  : type == StorageType::q8_0 ? 7
                  : type == StorageType::bf16 ? 32
                                              : 0;
  std::string name = std::filesystem::path(checkpoint.path()).filename().string();
  LINNET_TRY(
      writeGguf(path, ggufMetadata(config, tokenizer, file_type, name.empty() ? names.gguf : name), tensors));
  return lostInGguf(config, tokenizer);
}

} // namespace linnet
