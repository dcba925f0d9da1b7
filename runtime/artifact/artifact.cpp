#include "runtime/artifact/artifact.h"
#include "runtime/artifact/check.h"
#include "runtime/artifact/dispatch_check.h"
#include "runtime/artifact/format.h"
#include "support/content_fault.h"
#include "support/error.h"

#include <bit>

namespace linnet {
namespace {

static_assert(std::endian::native == std::endian::little,
              "artifacts are little endian and used where they lie");

// A limit for damaged files. The metadata of the largest GPT-2 has less than a megabyte.
constexpr uint64_t kMaxMetadataBytes = uint64_t(1) << 30;
constexpr unsigned kMaxDepth = 16, kMaxTables = 20'000'000;

Result<format::Header> readHeader(std::span<const std::byte> file, const std::string &name) {
  format::Header header;
  size_t magic_bytes = std::min(file.size(), sizeof header.magic);
  const std::string_view text(reinterpret_cast<const char *>(file.data()), file.size());
  if (std::string fault = contentFault(text); !fault.empty())
    return errorf("{}: not a Linnet artifact: {}", name, fault);
  if (std::memcmp(file.data(), format::kMagic, magic_bytes) != 0)
    return errorf("{}: not a Linnet artifact: it does not start with the signature of one", name);
  if (file.size() < sizeof header)
    return errorf("{}: truncated: expected at least {} bytes, found {}", name, sizeof header, file.size());
  std::memcpy(&header, file.data(), sizeof header);
  if (header.version != format::kVersion)
    return errorf(
        "{}: made by another version of Linnet: the file has format {}, this library reads format {}", name,
        header.version, format::kVersion);
  if (header.header_hash != format::headerHash(header))
    return errorf("{}: damaged: the header does not match its checksum", name);
  if (header.file_bytes > file.size())
    return errorf("{}: truncated: expected {} bytes, found {}", name, header.file_bytes, file.size());
  if (header.file_bytes < file.size())
    return errorf("{}: damaged: expected {} bytes, found {}", name, header.file_bytes, file.size());
  return header;
}

Result<void> checkHeader(const format::Header &header, const std::string &name) {
  if (header.header_bytes != format::kHeaderBytes || header.reserved != 0)
    return errorf("{}: damaged: the header's fixed fields are wrong", name);
  if (header.metadata_offset < format::kHeaderBytes || header.metadata_offset > header.file_bytes ||
      header.metadata_offset % format::kAlignment != 0 ||
      header.metadata_bytes != header.file_bytes - header.metadata_offset)
    return errorf("{}: damaged: metadata at [{}, +{}) is not the end of a file of {} bytes", name,
                  header.metadata_offset, header.metadata_bytes, header.file_bytes);
  if (header.metadata_bytes > kMaxMetadataBytes)
    return errorf("{}: damaged: metadata of {} bytes, at most {} are possible", name, header.metadata_bytes,
                  kMaxMetadataBytes);
  return {};
}

Result<void> checkHash(std::span<const std::byte> bytes, uint64_t expected, const std::string &name,
                       std::string_view what) {
  if (format::hashBytes(bytes) == expected) return {};
  return errorf("{}: damaged: {} does not match its checksum", name, what);
}

Result<void> checkShaderWords(const Artifact &artifact, const fb::Shader &shader) {
  auto bytes = artifact.blob(*shader.words());
  std::string what = fmt::format("shader {}", shader.name()->string_view());
  LINNET_TRY(checkHash(bytes, shader.words()->hash(), artifact.path(), what));
  if (auto good = checkSpirv(bytes); !good)
    return errorf("{}: damaged: {} {}", artifact.path(), what, good.error().message);
  return {};
}

} // namespace

Result<Artifact> Artifact::open(const std::string &path) {
  LINNET_ASSIGN(MappedFile mapping, MappedFile::open(path));
  LINNET_ASSIGN(Artifact artifact, fromBytes(mapping.bytes(), path));
  artifact.mapping = std::move(mapping);
  return artifact;
}

Result<Artifact> Artifact::fromBytes(std::span<const std::byte> bytes, const std::string &name) {
  LINNET_ASSIGN(format::Header header, readHeader(bytes, name));
  LINNET_TRY(checkHeader(header, name));
  auto metadata = bytes.subspan(header.metadata_offset);
  LINNET_TRY(checkHash(metadata, header.metadata_hash, name, "its metadata"));
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(metadata.data()), metadata.size(),
                                 kMaxDepth, kMaxTables);
  if (!verifier.VerifyBuffer<fb::Metadata>(nullptr))
    return errorf("{}: damaged: its metadata is not a well-formed table", name);
  Artifact artifact;
  artifact.file = bytes;
  artifact.name = name;
  artifact.root = flatbuffers::GetRoot<fb::Metadata>(metadata.data());
  if (auto good = checkMetadata(*artifact.root, header.metadata_offset); !good)
    return errorf("{}: damaged: {}", name, good.error().message);
  for (const fb::Program *program : *artifact.root->programs())
    for (const fb::Code *code : *program->code())
      LINNET_TRY(checkHash(artifact.blob(*code->blob()), code->blob()->hash(), name,
                           fmt::format("machine code for {}", code->isa()->string_view())));
  for (const fb::Program *program : *artifact.root->programs())
    for (uint32_t i = 0; program->shaders() && i < program->shaders()->size(); ++i)
      LINNET_TRY(checkShaderWords(artifact, *program->shaders()->Get(i)));
  if (const fb::Blob *tokenizer = artifact.root->tokenizer())
    LINNET_TRY(checkHash(artifact.blob(*tokenizer), tokenizer->hash(), name, "its tokenizer"));
  return artifact;
}

const fb::Program *Artifact::program(std::string_view target) const {
  for (const fb::Program *program : *root->programs())
    if (program->target()->string_view() == target) return program;
  return nullptr;
}

Result<const fb::Program *> Artifact::requireProgram(std::string_view target) const {
  if (const fb::Program *found = program(target)) return found;
  std::string there;
  for (const fb::Program *p : *root->programs()) there += (there.empty() ? "" : ", ") + p->target()->str();
  return errorf("{}: has no program for target '{}', only for: {}", name, target,
                there.empty() ? "none" : there);
}

Result<void> Artifact::checkBlobs() const {
  for (const fb::Program *program : *root->programs())
    for (const fb::Weight *weight : *program->weights())
      LINNET_TRY(checkHash(blob(*weight->blob()), weight->blob()->hash(), name,
                           fmt::format("weight {}", weight->name()->string_view())));
  return {};
}

const char *dtypeName(fb::DType type) {
  switch (type) {
  case fb::DType::f32:
    return "f32";
  case fb::DType::f16:
    return "f16";
  case fb::DType::bf16:
    return "bf16";
  case fb::DType::i32:
    return "i32";
  case fb::DType::i8:
    return "i8";
  case fb::DType::i4:
    return "i4";
  }
  return "unknown";
}

} // namespace linnet
