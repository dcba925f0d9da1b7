// An artifact file. Sizes and checksums in the header are corrected first, so that the reader goes on to the
// data after them.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/format.h"
#include "runtime/expr.h"
#include "runtime/run_check.h"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace linnet;

static void repair(std::span<std::byte> bytes) {
  format::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(header.magic, format::kMagic, sizeof header.magic);
  header.version = format::kVersion;
  header.header_bytes = format::kHeaderBytes;
  header.reserved = 0;
  header.file_bytes = bytes.size();
  header.metadata_offset = std::min<uint64_t>(header.metadata_offset, bytes.size()) / 64 * 64;
  header.metadata_bytes = bytes.size() - header.metadata_offset;
  header.metadata_hash = format::hashBytes(bytes.subspan(header.metadata_offset));
  header.header_hash = format::headerHash(header);
  std::memcpy(bytes.data(), &header, sizeof header);
}

static uint64_t sum = 0; // so that nothing is optimized away

static void touch(std::span<const std::byte> bytes) {
  if (!bytes.empty()) sum += static_cast<uint64_t>(bytes.front()) + static_cast<uint64_t>(bytes.back());
}

static void require(bool promise) {
  if (!promise) __builtin_trap();
}

// Does with an accepted entry what the rest of the runtime does with one.
static void use(const fb::Program &program, const fb::Entry &entry) {
  std::vector<int64_t> bounds(entry.bounds()->begin(), entry.bounds()->end()), least(bounds.size(), 1);
  for (auto *ports : {entry.inputs(), entry.outputs()})
    for (const fb::Port *port : *ports) {
      require(portBytes(*port, bounds) <= port->bytes());
      require(portBytes(*port, least) <= port->bytes());
      require(port->offset() + port->bytes() <= entry.io_bytes());
    }
  for (const fb::Command *command : *entry.commands()) {
    if (auto *call = command->body_as_KernelCall()) {
      require(evaluate(call->work(), bounds) >= evaluate(call->work(), least));
      sum += program.kernels()->Get(call->kernel())->size();
      for (const fb::Ref *ref : *call->args())
        if (ref->space() == fb::Space::arena) require(ref->offset() + ref->size() <= program.arena_bytes());
    } else if (auto *dispatch = command->body_as_Dispatch()) {
      for (const fb::Choice *choice : *dispatch->choices())
        for (const fb::Step *step : *choice->steps()) {
          require(program.shaders()->Get(step->shader())->bindings() <= 64);
          for (uint32_t arg : *step->args()) {
            const fb::Ref &ref = *dispatch->args()->Get(arg);
            if (ref.space() == fb::Space::counter)
              require(ref.offset() + ref.size() <= program.counter_bytes());
            sum += ref.size();
          }
          for (const fb::Expr *push : *step->push()) require(evaluate(push, bounds) >= evaluate(push, least));
        }
    } else {
      auto *matmul = command->body_as_PackedMatmul();
      require(matmul != nullptr);
      require(static_cast<uint64_t>(evaluate(matmul->m(), bounds) * matmul->n()) * 4 <=
              matmul->out()->size());
    }
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<std::byte> bytes(size);
  if (size) std::memcpy(bytes.data(), data, size);
  if (auto raw = Artifact::fromBytes(bytes, "fuzz")) sum += raw->fileBytes();
  if (size < sizeof(format::Header)) return 0;
  repair(bytes);
  auto artifact = Artifact::fromBytes(bytes, "fuzz");
  if (!artifact) {
    require(!artifact.error().message.empty());
    return 0;
  }
  if (artifact->checkBlobs()) ++sum;
  const fb::Metadata &metadata = artifact->metadata();
  if (metadata.tokenizer()) touch(artifact->blob(*metadata.tokenizer()));
  for (const fb::Program *program : *metadata.programs()) {
    require(artifact->program(program->target()->string_view()) == program);
    for (const fb::Weight *weight : *program->weights()) touch(artifact->blob(*weight->blob()));
    for (const fb::Code *code : *program->code()) touch(artifact->blob(*code->blob()));
    for (const fb::Entry *entry : *program->entries()) use(*program, *entry);
  }
  return 0;
}
