#include "tests/runtime/fixtures.h"
#include "runtime/artifact/format.h"
#include "support/error.h"
#include "tests/catch.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace fixtures {

TemporaryDirectory::TemporaryDirectory() {
  path = (std::filesystem::temp_directory_path() / "linnet-test-XXXXXX").string();
  REQUIRE(mkdtemp(path.data()) != nullptr);
}
TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::vector<std::byte> readBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void writeBytes(const std::string &path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::unique_ptr<fb::ExprT> product(std::vector<uint8_t> symbols, int64_t coefficient) {
  auto expr = std::make_unique<fb::ExprT>();
  auto term = std::make_unique<fb::TermT>();
  term->coefficient = coefficient;
  term->symbols = std::move(symbols);
  expr->terms.push_back(std::move(term));
  return expr;
}
std::unique_ptr<fb::ExprT> constant(int64_t value) { return product({}, value); }
std::unique_ptr<fb::ExprT> symbol(uint8_t index, int64_t coefficient) {
  return product({index}, coefficient);
}

std::unique_ptr<fb::PortT> port(std::string name, fb::DType type,
                                std::vector<std::unique_ptr<fb::ExprT>> shape, uint64_t offset,
                                uint64_t bytes) {
  auto made = std::make_unique<fb::PortT>();
  made->name = std::move(name);
  made->dtype = type;
  made->shape = std::move(shape);
  made->offset = offset;
  made->bytes = bytes;
  return made;
}

std::unique_ptr<fb::RefT> ref(fb::Space space, uint32_t index, uint64_t offset, uint64_t size) {
  auto made = std::make_unique<fb::RefT>();
  made->space = space;
  made->index = index;
  made->offset = offset;
  made->size = size;
  return made;
}

std::unique_ptr<fb::WeightT> weightOf(ArtifactWriter &writer, std::span<const float> values) {
  auto weight = std::make_unique<fb::WeightT>();
  weight->name = "w";
  weight->shape = {static_cast<int64_t>(values.size())};
  weight->blob = std::make_unique<fb::BlobT>(*writer.add(std::as_bytes(values)));
  return weight;
}

void addCounter(fb::ProgramT &program) {
  auto state = std::make_unique<fb::StateT>();
  state->name = "counter";
  state->shape = shape(constant(1));
  state->bytes = program.state_bytes = 4;
  program.states.push_back(std::move(state));
}

void finish(ArtifactWriter &writer, std::unique_ptr<fb::ProgramT> program) {
  fb::MetadataT metadata;
  metadata.programs.push_back(std::move(program));
  auto written = writer.finish(metadata);
  if (!written) throw std::runtime_error(written.error().message);
}

} // namespace fixtures
