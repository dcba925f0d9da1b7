#include "frontend/checkpoint/ggml_blocks.h"
#include "frontend/checkpoint/ggml_types.h"
#include "frontend/checkpoint/gguf.h"
#include "tests/checkpoint/common.h"

#include <bit>
#include <random>
#include <set>

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

std::string fixture(const std::string &name) {
  return sourceFolder() + "/tests/checkpoint/ggml/" + name + ".gguf";
}

const TensorView &named(const GgufFile &file, const std::string &name) {
  for (const TensorView &tensor : file.tensors())
    if (tensor.name == name) return tensor;
  FAIL("no tensor " << name);
  return file.tensors().front();
}

std::vector<uint32_t> bits(std::span<const float> values) {
  std::vector<uint32_t> out;
  for (float value : values) out.push_back(std::bit_cast<uint32_t>(value));
  return out;
}

/// Compares each tensor NAME with NAME.f32 bit by bit. Returns the number of such tensors.
size_t compareAll(const GgufFile &file) {
  size_t compared = 0;
  for (const TensorView &tensor : file.tensors()) {
    if (tensor.name.ends_with(".f32")) continue;
    CAPTURE(tensor.name);
    const TensorView &expected = named(file, tensor.name + ".f32");
    CHECK(tensor.shape == expected.shape);
    CHECK(bits(floats(tensor)) == bits(floats(expected)));
    ++compared;
  }
  return compared;
}

} // namespace

TEST_CASE("every type of GGUF has the floats of PyPI's gguf, bit by bit", "[ggml]") {
  auto file = GgufFile::open(fixture("types"));
  REQUIRE(message(file) == "(no error)");
  CHECK(compareAll(*file) == 17);
  for (const char *name :
       {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL"})
    CHECK(storageTypeName(named(*file, name).type) == std::string(name));
}

TEST_CASE("any range of a quantized tensor, and of its transpose", "[ggml]") {
  auto file = GgufFile::open(fixture("types"));
  REQUIRE(file);
  std::mt19937 random(7);
  for (const char *name : {"Q8_0.drawn", "Q5_1.drawn", "Q4_K", "Q6_K"}) {
    CAPTURE(name);
    TensorView tensor = named(*file, name);
    const std::vector<float> whole = floats(tensor);
    const size_t rows = static_cast<size_t>(tensor.shape[0]), columns = static_cast<size_t>(tensor.shape[1]);
    TensorView transposed = tensor;
    std::swap(transposed.shape[0], transposed.shape[1]);
    transposed.transposed = true;
    for (int trial = 0; trial < 100; ++trial) {
      const size_t first = random() % whole.size();
      std::vector<float> part(random() % (whole.size() - first) + 1);
      REQUIRE(readF32(tensor, first, part));
      REQUIRE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<ptrdiff_t>(first)));
      REQUIRE(readF32(transposed, first, part));
      for (size_t i = 0; i < part.size(); ++i)
        REQUIRE(part[i] == whole[(first + i) % rows * columns + (first + i) / rows]);
    }
    std::vector<float> beyond(2);
    CHECK_FALSE(readF32(tensor, whole.size() - 1, beyond));
  }
}

TEST_CASE("integers times scales are the floats of PyPI's gguf, bit by bit", "[ggml]") {
  auto file = GgufFile::open(fixture("types"));
  REQUIRE(file);
  std::set<StorageType> compared;
  for (TensorView tensor : file->tensors()) {
    const auto form = integersOf(tensor.type);
    if (!form) continue;
    CAPTURE(tensor.name);
    const int64_t width = tensor.shape.back();
    tensor.shape = {static_cast<int64_t>(tensor.elements()) / width, width}; // some have three dimensions
    compared.insert(tensor.type);
    TensorView stored = tensor;
    stored.integers = true;
    const std::vector<float> integers = floats(stored), scales = readScales(tensor);
    const auto columns = static_cast<size_t>(tensor.shape[1]),
               of_row = static_cast<size_t>(scalesOfRow(tensor));
    REQUIRE(scales.size() == static_cast<size_t>(tensor.shape[0]) * of_row);
    std::vector<float> values;
    for (size_t i = 0; i < integers.size(); ++i) {
      CHECK(integers[i] >= (form->bits == 4 ? -8 : -128));
      CHECK(integers[i] <= (form->bits == 4 ? 7 : 127));
      const size_t group = i % columns / form->group;
      const float *scale = scales.data() + i / columns * of_row + (form->minima ? 2 * group : group);
      // As the interpreter does: exactly, then rounded once.
      values.push_back(static_cast<float>(form->minima ? (double(integers[i]) + 8) * scale[0] + scale[1]
                                                       : double(integers[i]) * scale[0]));
    }
    CHECK(bits(values) == bits(floats(named(*file, tensor.name + ".f32"))));

    // The transpose of the file's matrix.
    stored.transposed = true;
    std::swap(stored.shape[0], stored.shape[1]);
    const std::vector<float> turned = floats(stored), turned_scales = readScales(stored);
    const size_t rows = integers.size() / columns;
    for (size_t i = 0; i < turned.size(); ++i) REQUIRE(turned[i] == integers[i % rows * columns + i / rows]);
    for (size_t i = 0; i < scales.size(); ++i)
      REQUIRE(bits(std::span(&turned_scales[i], 1)) ==
              bits(std::span(&scales[i % rows * of_row + i / rows], 1)));
  }
  CHECK(compared.size() == 7);
}

TEST_CASE("integers and scales of heads whose rows GGML stores in pairs", "[ggml]") {
  auto file = GgufFile::open(fixture("types"));
  REQUIRE(file);
  TensorView tensor = named(*file, "Q4_K");
  tensor.shape[0] = 2; // of 3 rows
  const int64_t rows = tensor.shape[0], columns = tensor.shape[1];
  const std::vector<float> plain = readScales(tensor);
  tensor.paired_heads = 1;
  const std::vector<float> scales = readScales(tensor);
  const int64_t of_row = scalesOfRow(tensor);
  TensorView integers = tensor;
  integers.integers = true;
  const std::vector<float> values = floats(tensor), found = floats(integers);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t stored = row % (rows / 2) * 2 + row / (rows / 2);
    for (int64_t i = 0; i < of_row; ++i) REQUIRE(scales[row * of_row + i] == plain[stored * of_row + i]);
    for (int64_t column = 0; column < columns; ++column) {
      const float *scale = &scales[row * of_row + column / 32 * 2];
      REQUIRE(values[row * columns + column] == (found[row * columns + column] + 8) * scale[0] + scale[1]);
    }
  }
}

TEST_CASE("a type that Linnet does not read is refused by its name", "[ggml]") {
  Scratch scratch;
  REQUIRE(writeGguf(scratch.file("g"), {}, {zeros("a", {256})}));
  const std::string good = *readTextFile(scratch.file("g"));
  auto ofType = [&](uint32_t number) {
    std::string changed = good;
    std::memcpy(changed.data() + 24 + 8 + 1 + 4 + 8, &number, sizeof number); // header, name, rank, size
    return message(GgufFile::parse({}, std::as_bytes(std::span(changed.data(), changed.size())), "f"));
  };
  CHECK_THAT(ofType(10),
             Contains("tensor \"a\" has GGML type Q2_K; supported are F32, F16, BF16, Q8_0, Q4_0, "
                      "Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K, IQ4_NL"));
  CHECK_THAT(ofType(23), Contains("GGML type IQ4_XS"));
  CHECK_THAT(ofType(26), Contains("GGML type I32"));
  CHECK_THAT(ofType(77), Contains("GGML type number 77"));
  CHECK_THAT(ofType(UINT32_MAX), Contains("GGML type number 4294967295"));
  for (uint32_t number = 0; number < 64; ++number)
    CHECK((ofType(number) == "(no error)") == storageTypeOf(number).has_value());
  for (size_t i = 0; i <= static_cast<size_t>(StorageType::iq4_nl); ++i)
    if (auto type = static_cast<StorageType>(i); isQuantized(type)) {
      CHECK(storageTypeOf(ggmlTypeOf(type)) == type);
      CHECK(ggmlTypeName(ggmlTypeOf(type)) == storageTypeName(type));
    }
}

TEST_CASE("a row of every quantized type fills whole blocks", "[ggml]") {
  Scratch scratch;
  auto error = [&](StorageType type, std::vector<int64_t> shape) {
    // The file has as many bytes as f32 needs, so that only the shape is wrong.
    REQUIRE(writeGguf(scratch.file("g"), {}, {zeros("a", shape)}));
    std::string file = *readTextFile(scratch.file("g"));
    const uint32_t number = ggmlTypeOf(type);
    std::memcpy(file.data() + 24 + 8 + 1 + 4 + 8 * shape.size(), &number, sizeof number);
    return message(GgufFile::parse({}, std::as_bytes(std::span(file.data(), file.size())), "f"));
  };
  CHECK_THAT(error(StorageType::q4_1, {2, 48}), Contains("48 elements do not fill Q4_1 blocks of 32"));
  CHECK_THAT(error(StorageType::iq4_nl, {32, 1}), Contains("1 elements do not fill IQ4_NL blocks of 32"));
  CHECK_THAT(error(StorageType::q4_k, {2, 128}), Contains("128 elements do not fill Q4_K blocks of 256"));
  CHECK_THAT(error(StorageType::q6_k, {255}), Contains("255 elements do not fill Q6_K blocks of 256"));
  CHECK(error(StorageType::q5_k, {3, 512}) == "(no error)");
  CHECK(error(StorageType::q5_0, {0, 33}) == "(no error)"); // no elements, no blocks
}

TEST_CASE("a file that ends inside of a quantized tensor is refused", "[ggml]") {
  const std::string good = *readTextFile(fixture("types"));
  auto parse = [&](size_t size) {
    return message(GgufFile::parse({}, std::as_bytes(std::span(good.data(), size)), "f"));
  };
  REQUIRE(parse(good.size()) == "(no error)");
  std::mt19937 random(13);
  for (int i = 0; i < 500; ++i) CHECK(parse(random() % (good.size() - 31)) != "(no error)");
}

TEST_CASE("any of the split files opens all of them", "[split]") {
  const std::vector<std::string> paths = {fixture("split-00001-of-00003"), fixture("split-00002-of-00003"),
                                          fixture("split-00003-of-00003")};
  for (const std::string &path : paths) {
    auto file = GgufFile::open(path);
    REQUIRE(message(file) == "(no error)");
    CHECK(file->paths() == paths);
    CHECK(*file->text("general.architecture") == "none");
    CHECK(file->tensors().size() == 6);
    CHECK(compareAll(*file) == 3);
    CHECK(file->tensors()[2].file.path() == paths[1]);
  }
  auto whole = GgufFile::open(fixture("types"));
  CHECK(whole->paths() == std::vector<std::string>{fixture("types")});
}

TEST_CASE("split files that are missing or of another model are named", "[split]") {
  Scratch scratch;
  auto path = [&](int number) { return scratch.file(fmt::format("m-{:05}-of-00003.gguf", number)); };
  auto metadata = [](int64_t number, int64_t count, int64_t tensors) {
    return GgufMetadata{{"split.no", number}, {"split.count", count}, {"split.tensors.count", tensors}};
  };
  auto write = [&](int number, GgufMetadata data, const std::string &tensor = "") {
    const std::string name = tensor.empty() ? fmt::format("t{}", number) : tensor;
    REQUIRE(writeGguf(path(number), data, {zeros(name, {8})}));
  };
  auto reset = [&] {
    for (int number : {1, 2, 3}) write(number, metadata(number - 1, 3, 3));
  };
  auto error = [&](int given = 1) { return message(GgufFile::open(path(given))); };
  reset();
  REQUIRE(error() == "(no error)");

  std::filesystem::remove(path(2));
  CHECK_THAT(error(3), Contains("m-00002-of-00003.gguf: missing: ") && Contains("is split file 3 of 3"));
  REQUIRE(writeTextFile(path(2), ""));
  CHECK_THAT(error(), Contains("m-00002-of-00003.gguf: the file is empty"));
  write(2, {});
  CHECK_THAT(error(), Contains("m-00002-of-00003.gguf: expected split file 2 of 3, found a whole model"));
  write(2, metadata(2, 3, 3));
  CHECK_THAT(error(), Contains("m-00002-of-00003.gguf: expected split file 2 of 3, found 3 of 3"));
  CHECK_THAT(error(2), Contains("m-00002-of-00003.gguf: split file 3 of 3 is expected to have a name that "
                                "ends with -00003-of-00003.gguf"));
  write(2, metadata(1, 4, 3));
  CHECK_THAT(error(), Contains("expected split file 2 of 3, found 2 of 4"));
  write(2, metadata(1, 3, 4));
  CHECK_THAT(error(), Contains("m-00002-of-00003.gguf: belongs to another model than ") &&
                          Contains("split.tensors.count is 4, expected 3"));
  CHECK_THAT(error(2),
             Contains("m-00001-of-00003.gguf: belongs to another model than ")); // the given one counts
  write(2, metadata(1, 3, 3), "t1");
  CHECK_THAT(error(), Contains("m-00002-of-00003.gguf: tensor \"t1\" is also in an earlier split file"));

  reset();
  GgufMetadata first = metadata(0, 3, 3), second = metadata(1, 3, 3);
  first.emplace_back("general.name", std::string("a"));
  write(1, first);
  CHECK(error() == "(no error)");
  second.emplace_back("general.name", std::string("b"));
  write(2, second);
  CHECK_THAT(error(), Contains("m-00002-of-00003.gguf: belongs to another model than ") &&
                          Contains("\"general.name\" differs"));

  for (int number : {1, 2, 3}) write(number, metadata(number - 1, 3, 5));
  CHECK_THAT(error(), Contains("the 3 split files hold 3 tensors, split.tensors.count is 5"));
}

TEST_CASE("hostile numbers of split files", "[split]") {
  Scratch scratch;
  auto error = [&](const GgufMetadata &metadata) {
    const std::string path = scratch.file("m-00001-of-00003.gguf");
    REQUIRE(writeGguf(path, metadata, {zeros("a", {8})}));
    return message(GgufFile::open(path));
  };
  auto numbers = [&](int64_t number, GgufValue count, int64_t tensors) {
    return error({{"split.no", number}, {"split.count", std::move(count)}, {"split.tensors.count", tensors}});
  };
  CHECK_THAT(numbers(3, int64_t(3), 3), Contains("split.no 3 of 3") && Contains("is impossible"));
  CHECK_THAT(numbers(-1, int64_t(3), 3), Contains("split.no -1 of 3"));
  CHECK_THAT(numbers(0, int64_t(3), -1), Contains("split.tensors.count -1 is impossible"));
  CHECK_THAT(numbers(0, int64_t(100'000), 3), Contains("is impossible"));
  CHECK_THAT(numbers(0, std::string("3"), 3), Contains("\"split.count\" is expected to be a whole number"));
  CHECK_THAT(error({{"split.count", int64_t(3)}}), Contains("metadata \"split.no\" is missing"));
  CHECK(numbers(0, int64_t(1), 1) == "(no error)"); // one file of one
  CHECK(numbers(7, int64_t(0), 1) == "(no error)"); // as in llama.cpp, a count of 0 means not split
}
