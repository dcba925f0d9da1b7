#include "runtime/artifact/writer.h"
#include "runtime/artifact/check.h"
#include "runtime/artifact/format.h"
#include "support/error.h"

namespace linnet {
Result<ArtifactWriter> ArtifactWriter::create(const std::string &path) {
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  ArtifactWriter writer(std::move(file), path);
  std::byte gap[format::kHeaderBytes] = {};
  LINNET_TRY(writer.file.write(gap));
  return writer;
}

Result<void> ArtifactWriter::align() {
  std::byte zeros[format::kAlignment] = {};
  uint64_t rest = file.size() % format::kAlignment;
  return rest ? file.write(std::span(zeros).first(format::kAlignment - rest)) : Result<void>();
}

Result<void> ArtifactWriter::begin() {
  if (open) return errorf("{}: a blob was begun before the last one ended", path);
  LINNET_TRY(align());
  blob_offset = file.size();
  hash.reset();
  open = true;
  return {};
}

Result<void> ArtifactWriter::append(std::span<const std::byte> bytes) {
  if (!open) return errorf("{}: bytes for a blob that was not begun", path);
  hash.append(bytes);
  return file.write(bytes);
}

Result<fb::BlobT> ArtifactWriter::end() {
  if (!open) return errorf("{}: the end of a blob that was not begun", path);
  open = false;
  fb::BlobT blob;
  blob.offset = blob_offset;
  blob.size = file.size() - blob_offset;
  blob.hash = hash.digest();
  return shared(blob);
}

// Two targets often store the same weights in the same layout.
Result<fb::BlobT> ArtifactWriter::shared(const fb::BlobT &blob) {
  if (blob.size < kWorthSharing) return blob;
  auto [before, is_new] = written.try_emplace({blob.hash, blob.size}, blob.offset);
  if (is_new) return blob;
  LINNET_ASSIGN(bool same, file.repeats(before->second, blob.offset, blob.size));
  if (!same) return blob;
  LINNET_TRY(file.truncate(blob.offset));
  fb::BlobT first(blob);
  first.offset = before->second;
  return first;
}

Result<fb::BlobT> ArtifactWriter::add(std::span<const std::byte> bytes) {
  LINNET_TRY(begin());
  LINNET_TRY(append(bytes));
  return end();
}

Result<void> ArtifactWriter::finish(const fb::MetadataT &metadata) {
  if (open) return errorf("{}: finished within a blob", path);
  LINNET_TRY(align());
  flatbuffers::FlatBufferBuilder builder(1 << 16);
  builder.Finish(fb::Metadata::Pack(builder, &metadata));
  auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));

  flatbuffers::Verifier verifier(builder.GetBufferPointer(), builder.GetSize());
  if (!verifier.VerifyBuffer<fb::Metadata>(nullptr))
    return errorf("{}: cannot write: the metadata lacks a required part", path);
  if (auto good = checkMetadata(*flatbuffers::GetRoot<fb::Metadata>(builder.GetBufferPointer()), file.size());
      !good)
    return errorf("{}: cannot write: {}", path, good.error().message);

  format::Header header = {};
  std::memcpy(header.magic, format::kMagic, sizeof header.magic);
  header.version = format::kVersion;
  header.header_bytes = format::kHeaderBytes;
  header.metadata_offset = file.size();
  header.metadata_bytes = bytes.size();
  header.file_bytes = header.metadata_offset + header.metadata_bytes;
  header.metadata_hash = format::hashBytes(bytes);
  header.header_hash = format::headerHash(header);
  LINNET_TRY(file.write(bytes));
  LINNET_TRY(file.writeAt(0, std::as_bytes(std::span(&header, 1))));
  return file.commit();
}

} // namespace linnet
