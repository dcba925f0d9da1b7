#include "frontend/checkpoint/pickle.h"
#include "frontend/checkpoint/pytorch.h"
#include "frontend/checkpoint/zip.h"
#include "tests/checkpoint/common.h"

#include <random>

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// tests/cli/torch_files.py wrote them.
std::string seed(const std::string &name) {
  return *readTextFile(sourceFolder() + "/tests/fuzz/corpus/checkpoint-pytorch/" + name);
}
Result<PytorchFile> parse(const std::string &bytes) { return PytorchFile::parse({}, bytesOf(bytes), "f"); }

const TensorView &named(const PytorchFile &file, std::string_view name) {
  for (const TensorView &tensor : file.tensors())
    if (tensor.name == name) return tensor;
  FAIL("no tensor " << name);
  return file.tensors().front();
}

std::string pickleError(std::string_view opcodes) {
  return message(Pickle::read(bytesOf("\x80\x02" + std::string(opcodes)), "f"));
}

/// A text, as BINUNICODE.
std::string text(std::string_view value) {
  uint32_t size = static_cast<uint32_t>(value.size());
  return "X" + std::string(reinterpret_cast<const char *>(&size), 4) + std::string(value);
}
/// ("storage", torch.FloatStorage, KEY, "cpu", ELEMENTS) as a persistent id.
std::string storage(std::string_view key, char elements) {
  return "(" + text("storage") + "ctorch\nFloatStorage\n" + text(key) + text("cpu") + "K" + elements + "tQ";
}
std::string tensor(const std::string &sizes, const std::string &strides, char offset = 0) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage("0", 4) + "K" + offset + "(" + sizes + "t(" +
         strides + "t\x89}tR";
}

void appendNumber(std::string &to, uint64_t value, size_t bytes) {
  to.append(reinterpret_cast<const char *>(&value), bytes);
}

/// A ZIP archive of stored members.
std::string zip(const std::vector<std::pair<std::string, std::string>> &members, uint16_t flags = 0,
                uint16_t method = 0) {
  std::string file, directory;
  for (auto &[name, data] : members) {
    const uint64_t offset = file.size();
    auto header = [&](std::string &to, uint32_t signature, bool central) {
      appendNumber(to, signature, 4);
      if (central) appendNumber(to, 20, 2);
      for (uint64_t value : {uint64_t(20), uint64_t(flags), uint64_t(method), uint64_t(0), uint64_t(0)})
        appendNumber(to, value, 2);
      for (uint64_t value : {uint64_t(0), uint64_t(data.size()), uint64_t(data.size())})
        appendNumber(to, value, 4);
      appendNumber(to, name.size(), 2);
      appendNumber(to, 0, 2);
      if (central) {
        to.append(10, '\0'); // no comment, disk 0, attributes
        appendNumber(to, offset, 4);
      }
      to += name;
    };
    header(file, 0x04034b50, false);
    file += data;
    header(directory, 0x02014b50, true);
  }
  const uint64_t offset = file.size();
  file += directory;
  appendNumber(file, 0x06054b50, 4);
  appendNumber(file, 0, 4);
  appendNumber(file, members.size(), 2);
  appendNumber(file, members.size(), 2);
  appendNumber(file, directory.size(), 4);
  appendNumber(file, offset, 4);
  appendNumber(file, 0, 2);
  return file;
}

/// The file that torch.save writes for {"a": TENSOR}, with the four floats 1, 2, 3, 4.
std::string fileOf(const std::string &tensor_opcodes, std::string data = {}) {
  const float values[] = {1, 2, 3, 4};
  if (data.empty()) data.assign(reinterpret_cast<const char *>(values), sizeof values);
  return zip({{"m/data.pkl", "\x80\x02}" + text("a") + tensor_opcodes + "s."}, {"m/data/0", data}});
}

std::string k(std::initializer_list<char> numbers) {
  std::string out;
  for (char n : numbers) out += std::string("K") + n;
  return out;
}

} // namespace

TEST_CASE("files of torch.save give their tensors", "[pytorch]") {
  for (const char *name : {"zip", "old", "protocol-4"}) {
    CAPTURE(name);
    const std::string bytes = seed(name);
    auto file = parse(bytes);
    REQUIRE(message(file) == "(no error)");
    REQUIRE(file->tensors().size() == 4);
    CHECK(floats(named(*file, "wte.weight")) == std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    CHECK(floats(named(*file, "wpe.weight")) == std::vector<float>{3, 4, 5, 6, 7, 8});
    CHECK(named(*file, "h.0.attn.bias").type == StorageType::boolean);
    CHECK(named(*file, "scale").shape.empty());
    CHECK(floats(named(*file, "scale")) == std::vector<float>{1});
  }
  for (const char *name : {"views", "old-views"}) {
    CAPTURE(name);
    const std::string bytes = seed(name);
    auto file = parse(bytes);
    REQUIRE(message(file) == "(no error)");
    CHECK(floats(named(*file, "transposed")) == std::vector<float>{0, 2, 4, 1, 3, 5});
    CHECK(named(*file, "parameter").type == StorageType::f16);
    CHECK(floats(named(*file, "parameter")) == std::vector<float>{0, 1, 2});
    CHECK(named(*file, "old").shape == std::vector<int64_t>{3, 4});
    CHECK(floats(named(*file, "empty")).empty());
  }
}

TEST_CASE("a pickle builds tensors and nothing else", "[pytorch]") {
  CHECK_THAT(pickleError("cos\nsystem\n" + text("true") + "\x85R."),
             Contains("it names os.system; only tensors are read, and nothing is run"));
  CHECK_THAT(pickleError("cbuiltins\neval\n" + text("1") + "\x85R."), Contains("builtins.eval"));
  CHECK_THAT(pickleError("c__builtin__\nexec\n."), Contains("__builtin__.exec"));
  CHECK_THAT(pickleError(text("posix") + text("system") + "\x93."), Contains("posix.system"));
  CHECK_THAT(pickleError("ctorch\nload\n."), Contains("torch.load"));
  CHECK_THAT(pickleError("ctorch._utils\n_rebuild_tensor_v2.__globals__\n."), Contains("__globals__"));
  CHECK_THAT(pickleError("cnumpy.core.multiarray\nscalar\n."), Contains("numpy.core.multiarray.scalar"));
  CHECK_THAT(pickleError("cbad\x01\x1b[2J\nname\n."), Contains("bad??[2J.name"));
  CHECK_THAT(pickleError("(ios\nsystem\n."), Contains("opcode 0x69"));                   // INST
  CHECK_THAT(pickleError("ccollections\nOrderedDict\n)\x81."), Contains("opcode 0x81")); // NEWOBJ
  CHECK_THAT(pickleError("\x82\x01."), Contains("opcode 0x82"));                         // EXT1
  CHECK_THAT(pickleError("P0\n."), Contains("opcode 0x50"));                             // PERSID
  CHECK_THAT(pickleError("ctorch\nFloatStorage\n)R."), Contains("a class of storages is called"));
  CHECK_THAT(pickleError("})R."), Contains("a dictionary of 0 entries is called"));
  CHECK_THAT(pickleError("ccollections\nOrderedDict\nK\x01\x85R."), Contains("OrderedDict"));
  CHECK_THAT(pickleError("ctorch._utils\n_rebuild_parameter\n}\x85R."),
             Contains("a parameter that is not a tensor"));
  CHECK_THAT(pickleError("ctorch._utils\n_rebuild_tensor_v2\n)R."),
             Contains("_rebuild_tensor_v2 of 0 arguments"));
  CHECK_THAT(pickleError("]}b."), Contains("cannot be added to a list"));
  CHECK_THAT(
      pickleError("(" + text("module") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x01tQ."),
      Contains("not a storage of a known type"));
}

TEST_CASE("damaged pickles are refused", "[pytorch]") {
  CHECK_THAT(message(Pickle::read(bytesOf("\x80\x07."), "f")), Contains("protocol 7, expected 2 to 5"));
  CHECK_THAT(pickleError(""), Contains("it ends too early"));
  CHECK_THAT(pickleError("."), Contains("the stack is empty"));
  CHECK_THAT(pickleError("NN."), Contains("values are left on the stack"));
  CHECK_THAT(pickleError("t."), Contains("a mark is missing"));
  CHECK_THAT(pickleError("(0."), Contains("opcode 0x30"));
  CHECK_THAT(pickleError("N(\x85."), Contains("the stack is empty")); // below the mark
  CHECK_THAT(pickleError("h\x05."), Contains("value 5 of the memo is missing"));
  CHECK_THAT(pickleError("X\xff\xff\xff\xff."), Contains("a text of 4294967295 bytes"));
  CHECK_THAT(pickleError(std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", 10)),
             Contains("a text of 18446744073709551615"));
  CHECK_THAT(pickleError("}(Nu."), Contains("a key without a value"));
  CHECK_THAT(pickleError("Na."), Contains("the stack is empty"));
  CHECK_THAT(pickleError("c" + std::string(300, 'x')), Contains("a name without an end"));
  CHECK_THAT(pickleError(std::string((1 << 21) + 1, 'N')), Contains("more than 2097152 opcodes"));
  // A short pickle that names a long list again and again.
  std::string bomb = "](";
  for (int i = 0; i < 30'000; ++i) bomb += "NN\x86";
  bomb += "eq\x01";
  for (int i = 0; i < 60; ++i) bomb += "ccollections\nOrderedDict\nh\x01\x85R";
  CHECK_THAT(pickleError(bomb + "."), Contains("more than 2097152 items"));
  CHECK_THAT(pickleError("]q\x01h\x01"
                         "a."),
             Contains("(no error)")); // a list that holds itself
}

TEST_CASE("tensors outside of their storages are refused", "[pytorch]") {
  REQUIRE(message(parse(fileOf(tensor(k({2, 2}), k({2, 1}))))) == "(no error)");
  auto error = [](const std::string &sizes, const std::string &strides, char offset = 0) {
    return message(parse(fileOf(tensor(sizes, strides, offset))));
  };
  CHECK_THAT(error(k({2, 3}), k({3, 1})),
             Contains("tensor \"a\": 6 elements from number 0 lie outside its storage of 4"));
  CHECK_THAT(error(k({4}), k({1}), 1), Contains("lie outside its storage"));
  CHECK_THAT(error(k({2}), k({2})), Contains("strides [2] are not supported"));
  CHECK_THAT(error(k({2}), k({0})), Contains("strides [0] are not supported"));
  CHECK_THAT(error(k({2, 2}), k({1})), Contains("sizes and strides"));
  CHECK_THAT(error("J\xff\xff\xff\xff", k({1})), Contains("sizes and strides"));
  const std::string huge = "\x8a\x08" + std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
  CHECK_THAT(error(huge + huge, k({1, 1})), Contains("impossible shape"));
  CHECK_THAT(error(huge, k({1})), Contains("lie outside its storage"));
  CHECK_THAT(message(parse(fileOf(tensor(k({2, 2}), k({2, 1})), "short"))),
             Contains("its storage of 4 elements of F32 takes 16 bytes, 5 are there"));
  CHECK_THAT(message(parse(zip({{"m/data.pkl", "\x80\x02}" + text("a") + tensor(k({4}), k({1})) + "s."}}))),
             Contains("its storage \"0\" is missing"));
  CHECK_THAT(message(parse(fileOf("K\x07"))), Contains("\"a\" is the number 7, expected a tensor"));
  CHECK_THAT(message(parse(fileOf("}"))), Contains("\"a\" is a dictionary of 0 entries, expected a tensor"));
  const std::string one = tensor(k({4}), k({1}));
  CHECK_THAT(message(parse(fileOf(one + "s" + text("a") + one))), Contains("tensor \"a\" is there twice"));
  CHECK_THAT(message(parse(zip({{"data.pkl", "\x80\x02]."}}))),
             Contains("expected a dictionary of tensors, found a list of 0"));
  CHECK_THAT(message(parse(zip({{"data.pkl", std::string("\x80\x02}K\x01Ns.", 8)}}))),
             Contains("expected the name of a tensor, found the number 1"));
}

TEST_CASE("archives that torch.save did not write are named", "[pytorch]") {
  const std::string pickle("\x80\x02}.", 4);
  CHECK(message(parse(zip({{"a/data.pkl", pickle}}))) == "(no error)");
  CHECK_THAT(message(parse(zip({{"a/other", "x"}}))), Contains("a ZIP archive without data.pkl"));
  CHECK_THAT(message(parse(zip({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}))),
             Contains("two members data.pkl"));
  CHECK_THAT(message(parse(zip({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}))),
             Contains("member \"a/data.pkl\" is there twice"));
  CHECK_THAT(message(parse(zip({{"a/data.pkl", pickle}, {"a/constants.pkl", pickle}}))),
             Contains("a TorchScript program"));
  CHECK_THAT(message(parse(zip({{"a/data.pkl", pickle}, {"a/byteorder", "big"}}))),
             Contains("byte order \"big\""));
  CHECK_THAT(message(parse(zip({{"a/data.pkl", pickle}}, 1))), Contains("is encrypted"));
  CHECK_THAT(message(parse(zip({{"a/data.pkl", pickle}}, 0, 8))), Contains("is compressed"));
  CHECK_THAT(message(parse("hello")), Contains("torch.save did not write it"));
  CHECK_THAT(message(parse("")), Contains("the file is empty"));
  CHECK_THAT(message(parse("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")),
             Contains("a Git LFS pointer"));
}

TEST_CASE("no damage to a file of torch.save crashes the reader", "[pytorch]") {
  std::mt19937 random(7);
  for (const char *name : {"zip", "old", "views", "old-views", "protocol-4"}) {
    CAPTURE(name);
    const std::string good = seed(name);
    for (size_t n = 0; n < good.size(); ++n) REQUIRE_FALSE(parse(good.substr(0, n)));
    for (int i = 0; i < 3000; ++i) {
      std::string bad = good;
      for (unsigned n = random() % 4 + 1; n--;) bad[random() % bad.size()] = static_cast<char>(random());
      if (auto file = parse(bad)) // a changed number of a weight goes unnoticed
        for (const TensorView &view : file->tensors()) {
          std::vector<float> values(view.elements());
          (void)readF32(view, 0, values).ok();
        }
    }
  }
}
