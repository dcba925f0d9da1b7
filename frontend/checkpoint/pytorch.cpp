#include "frontend/checkpoint/pytorch.h"
#include "frontend/checkpoint/pickle.h"
#include "frontend/checkpoint/zip.h"
#include "support/content_fault.h"
#include "support/error.h"

#include <bit>
#include <cstring>
#include <map>
#include <set>

namespace linnet {
namespace {

using Kind = Pickle::Kind;

static_assert(std::endian::native == std::endian::little, "storages are used where they lie");

// The first pickle of the format before torch 1.6: its magic number, 0x1950a86a20f9469cfc6c.
constexpr std::string_view kOldStart("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr int64_t kOldVersion = 1001;

using Storages = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// Whether the strides are those of a dense row-major tensor.
bool isContiguous(const std::vector<int64_t> &shape, const std::vector<int64_t> &stride) {
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && stride[i] != expected) return false;
    if (__builtin_mul_overflow(expected, shape[i], &expected)) return false;
  }
  return true;
}

/// Converts a tensor of the pickle to a view.
Result<TensorView> viewOf(const PickledTensor &from, const std::string &key, const Storages &storages,
                          const std::string &name) {
  const std::string where = fmt::format("{}: tensor \"{}\"", name, key.substr(0, kShownName));
  TensorView tensor;
  tensor.name = key;
  tensor.type = from.type;
  tensor.shape = from.shape;
  auto storage = storages.find(from.storage);
  if (storage == storages.end())
    return errorf("{}: its storage \"{}\" is missing", where, from.storage.substr(0, kShownName));
  LINNET_ASSIGN(uint64_t stored, storageBytes(from.type, from.storage_elements, where));
  if (stored != storage->second.size())
    return errorf("{}: its storage of {} elements of {} takes {} bytes, {} are there", where,
                  from.storage_elements, storageTypeName(from.type), stored, storage->second.size());
  LINNET_ASSIGN(uint64_t elements, elementCount(from.shape, where));
  if (elements > from.storage_elements || from.offset > from.storage_elements - elements)
    return errorf("{}: {} elements from number {} lie outside its storage of {}", where, elements,
                  from.offset, from.storage_elements);
  if (elements && !isContiguous(from.shape, from.stride)) {
    tensor.transposed = from.shape.size() == 2 && from.stride[0] == 1 && from.stride[1] == from.shape[0];
    if (!tensor.transposed)
      return errorf("{}: sizes {} with strides {} are not supported: save it with .contiguous()", where,
                    shapeText(from.shape), shapeText(from.stride));
  }
  LINNET_ASSIGN(uint64_t element_bytes, storageBytes(from.type, 1, where));
  tensor.bytes = storage->second.subspan(from.offset * element_bytes, elements * element_bytes);
  return tensor;
}

/// Reads the tensors of the pickle, whose root must be a dictionary from names to tensors.
Result<std::vector<TensorView>> tensorsOf(const Pickle &pickle, const Storages &storages,
                                          const std::string &name) {
  const Pickle::Value &root = pickle.root();
  if (root.kind != Kind::dictionary)
    return errorf("{}: expected a dictionary of tensors, found {}", name, Pickle::describe(root));
  std::vector<TensorView> list;
  std::set<std::string_view> seen;
  for (size_t i = 0; i < root.items.size(); i += 2) {
    const Pickle::Value &key = pickle.at(root.items[i]), &value = pickle.at(root.items[i + 1]);
    if (key.kind != Kind::text)
      return errorf("{}: expected the name of a tensor, found {}", name, Pickle::describe(key));
    if (value.kind != Kind::tensor)
      return errorf("{}: \"{}\" is {}, expected a tensor: save the model's state_dict() alone", name,
                    key.text.substr(0, kShownName), Pickle::describe(value));
    if (!seen.insert(key.text).second)
      return errorf("{}: tensor \"{}\" is there twice", name, key.text.substr(0, kShownName));
    LINNET_ASSIGN(TensorView tensor, viewOf(pickle.tensors()[static_cast<size_t>(value.number)],
                                            std::string(key.text), storages, name));
    list.push_back(std::move(tensor));
  }
  return list;
}

/// torch 1.6 and later: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder in newer ones.
Result<std::vector<TensorView>> parseZip(std::span<const std::byte> bytes, const std::string &name) {
  LINNET_ASSIGN(ZipMembers members, readZip(bytes, name));
  constexpr std::string_view kPickle = "data.pkl";
  std::string folder;
  const std::span<const std::byte> *pickle_bytes = nullptr;
  for (auto &[member, contents] : members) {
    if (!member.ends_with(kPickle) ||
        (member.size() > kPickle.size() && member[member.size() - kPickle.size() - 1] != '/'))
      continue;
    if (pickle_bytes) return errorf("{}: has two members {}", name, kPickle);
    pickle_bytes = &contents;
    folder = member.substr(0, member.size() - kPickle.size());
  }
  if (!pickle_bytes)
    return errorf("{}: a ZIP archive without {}: torch.save did not write it", name, kPickle);
  if (members.contains(folder + "constants.pkl"))
    return errorf("{}: a TorchScript program, expected a dictionary of tensors", name);
  if (auto order = members.find(folder + "byteorder"); order != members.end()) {
    std::string_view text(reinterpret_cast<const char *>(order->second.data()), order->second.size());
    if (text != "little") return errorf("{}: byte order \"{}\", expected little", name, text.substr(0, 20));
  }
  LINNET_ASSIGN(Pickle pickle, Pickle::read(*pickle_bytes, name));
  Storages storages;
  const std::string data = folder + "data/";
  for (auto &[member, contents] : members)
    if (member.starts_with(data)) storages.emplace(member.substr(data.size()), contents);
  return tensorsOf(pickle, storages, name);
}

/// Before torch 1.6: pickles of a magic number, a version, facts of the machine, the dictionary and the keys
/// of its storages; then each storage, its number of elements (i64) first.
Result<std::vector<TensorView>> parseOld(std::span<const std::byte> bytes, const std::string &name) {
  auto next = [&]() -> Result<Pickle> {
    LINNET_ASSIGN(Pickle pickle, Pickle::read(bytes, name));
    bytes = bytes.subspan(pickle.size());
    return pickle;
  };
  LINNET_TRY(next()); // the magic number, which the caller has checked
  LINNET_ASSIGN(Pickle version, next());
  if (version.root().kind != Kind::integer || version.root().number != kOldVersion)
    return errorf("{}: format version {}, expected {}", name, Pickle::describe(version.root()), kOldVersion);
  LINNET_ASSIGN(Pickle machine, next());
  for (size_t i = 0; i + 1 < machine.root().items.size(); i += 2) {
    const Pickle::Value &key = machine.at(machine.root().items[i]),
                        &value = machine.at(machine.root().items[i + 1]);
    if (key.text == "little_endian" && (value.kind != Kind::boolean || !value.number))
      return errorf("{}: written on a big-endian machine, expected little", name);
  }
  LINNET_ASSIGN(Pickle pickle, next());
  LINNET_ASSIGN(Pickle keys, next());
  if (keys.root().kind != Kind::list)
    return errorf("{}: expected a list of storages, found {}", name, Pickle::describe(keys.root()));
  std::map<std::string_view, StorageType> types;
  for (const PickledTensor &tensor : pickle.tensors()) types.emplace(tensor.storage, tensor.type);
  Storages storages;
  for (uint32_t i : keys.root().items) {
    const Pickle::Value &key = keys.at(i);
    auto type = types.find(key.text);
    if (key.kind != Kind::text || type == types.end())
      return errorf("{}: storage {} belongs to no tensor", name, Pickle::describe(key));
    uint64_t elements = 0;
    if (bytes.size() < sizeof elements) return errorf("{}: truncated: storage {} is missing", name, key.text);
    std::memcpy(&elements, bytes.data(), sizeof elements);
    bytes = bytes.subspan(sizeof elements);
    LINNET_ASSIGN(uint64_t size, storageBytes(type->second, elements, name));
    if (size > bytes.size())
      return errorf("{}: truncated: storage {} takes {} bytes, {} are left", name, key.text, size,
                    bytes.size());
    if (!storages.emplace(key.text, bytes.first(size)).second)
      return errorf("{}: storage {} is there twice", name, key.text);
    bytes = bytes.subspan(size);
  }
  return tensorsOf(pickle, storages, name);
}

} // namespace

bool isPytorch(std::string_view bytes) { return isZip(bytes) || bytes.starts_with(kOldStart); }

Result<PytorchFile> PytorchFile::open(const std::string &path) {
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  auto bytes = file.bytes();
  return parse(std::move(file), bytes, path);
}

Result<PytorchFile> PytorchFile::parse(MappedFile file, std::span<const std::byte> bytes,
                                       const std::string &name) {
  std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", name, fault);
  if (!isPytorch(text))
    return errorf("{}: torch.save did not write it: it is neither a ZIP archive nor a pickle", name);
  PytorchFile result;
  LINNET_ASSIGN(result.list, isZip(text) ? parseZip(bytes, name) : parseOld(bytes, name));
  for (TensorView &tensor : result.list) tensor.file = file;
  return result;
}

} // namespace linnet
