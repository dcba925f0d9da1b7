// Sources: Lib/pickletools.py of CPython (opcodes), torch/serialization.py and torch/_utils.py (torch.save).
#include "frontend/checkpoint/pickle.h"
#include "support/error.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

namespace linnet {
namespace {

using Kind = Pickle::Kind;
using Value = Pickle::Value;

// The largest checkpoint has 16,384 tensors of about 70 opcodes each. The limit bounds memory, because an
// opcode makes at most one value.
constexpr size_t kMaxOpcodes = 1 << 21;
constexpr size_t kMaxRank = 16;
constexpr size_t kMaxArguments = 8; // most arguments of a function

/// The names that a pickle may use, besides the classes of storages.
enum Function : int64_t { orderedDict, rebuildTensor, rebuildTensorV2, rebuildParameter, storageClass };

struct KnownName {
  std::string_view module, name;
  Function function;
  StorageType type = StorageType::f32;
};
constexpr KnownName kNames[] = {{"collections", "OrderedDict", orderedDict},
                                {"torch._utils", "_rebuild_tensor", rebuildTensor},
                                {"torch._utils", "_rebuild_tensor_v2", rebuildTensorV2},
                                {"torch._utils", "_rebuild_parameter", rebuildParameter},
                                {"torch", "DoubleStorage", storageClass, StorageType::f64},
                                {"torch", "FloatStorage", storageClass, StorageType::f32},
                                {"torch", "HalfStorage", storageClass, StorageType::f16},
                                {"torch", "BFloat16Storage", storageClass, StorageType::bf16},
                                {"torch", "LongStorage", storageClass, StorageType::i64},
                                {"torch", "IntStorage", storageClass, StorageType::i32},
                                {"torch", "ShortStorage", storageClass, StorageType::i16},
                                {"torch", "CharStorage", storageClass, StorageType::i8},
                                {"torch", "ByteStorage", storageClass, StorageType::u8},
                                {"torch", "BoolStorage", storageClass, StorageType::boolean}};

/// Printable ASCII of a name from the file.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kShownName));
  for (char &c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

} // namespace

class PickleMachine {
public:
  PickleMachine(std::span<const std::byte> bytes, const std::string &where, Pickle &out)
      : bytes(bytes), where(where), out(out) {}

  Result<void> run() {
    for (size_t count = 0; count < kMaxOpcodes; ++count) {
      opcode_at = at;
      auto opcode = number<uint8_t>();
      if (!failed && opcode == '.') return finish();
      if (!failed) execute(opcode);
      if (failed) return Error{failure};
    }
    return errorf("{}: a pickle of more than {} opcodes", where, kMaxOpcodes);
  }

private:
  template <class... Args> void fail(fmt::format_string<Args...> format, Args &&...args) {
    if (failed) return;
    failed = true;
    failure = fmt::format("{}: the pickle, byte {}: {}", where, opcode_at,
                          fmt::format(format, std::forward<Args>(args)...));
  }

  Result<void> finish() {
    uint32_t top = pop();
    if (!failed && (!stack.empty() || !marks.empty())) fail("values are left on the stack");
    if (failed) return Error{failure};
    out.result = top;
    out.length = at;
    return {};
  }

  // Reading.
  template <class T> T number() {
    T value{};
    if (bytes.size() - at < sizeof value) return fail("it ends too early"), value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return value;
  }
  std::string_view text(uint64_t size) {
    if (size > bytes.size() - at) return fail("a text of {} bytes, {} are left", size, bytes.size() - at), "";
    std::string_view found(reinterpret_cast<const char *>(bytes.data()) + at, size);
    at += size;
    return found;
  }
  std::string_view line() {
    std::string_view rest(reinterpret_cast<const char *>(bytes.data()) + at, bytes.size() - at);
    size_t end = rest.substr(0, 2 * kShownName).find('\n');
    if (end == std::string_view::npos) return fail("a name without an end"), "";
    at += end + 1;
    return rest.substr(0, end);
  }

  // The stack holds indices in `values`.
  uint32_t make(Value value) {
    out.values.push_back(std::move(value));
    return static_cast<uint32_t>(out.values.size() - 1);
  }
  void push(Value value) { stack.push_back(make(std::move(value))); }
  void push(Kind kind, int64_t value) { push({.kind = kind, .number = value, .text = {}, .items = {}}); }
  void pushText(std::string_view value) { push({.kind = Kind::text, .text = value, .items = {}}); }
  uint32_t pop() {
    const size_t floor = marks.empty() ? 0 : marks.back();
    if (stack.size() <= floor) return fail("the stack is empty"), make({});
    uint32_t top = stack.back();
    stack.pop_back();
    return top;
  }
  /// The value on top of the stack, if it is of this kind.
  Value *top(Kind kind) {
    const size_t floor = marks.empty() ? 0 : marks.back();
    if (stack.size() <= floor) return fail("the stack is empty"), nullptr;
    Value &value = out.values[stack.back()];
    if (value.kind != kind) return fail("cannot be added to {}", Pickle::describe(value)), nullptr;
    return &value;
  }
  std::vector<uint32_t> popToMark() {
    if (marks.empty()) return fail("a mark is missing"), std::vector<uint32_t>();
    std::vector<uint32_t> items(stack.begin() + static_cast<std::ptrdiff_t>(marks.back()), stack.end());
    stack.resize(marks.back());
    marks.pop_back();
    return items;
  }
  std::vector<uint32_t> popSome(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }
  const Value &value(uint32_t i) const { return out.values[i]; }

  void pushItems(Kind kind, std::vector<uint32_t> items) {
    push({.kind = kind, .text = {}, .items = std::move(items)});
  }
  void append(Kind kind, const std::vector<uint32_t> &items) {
    if (failed) return;
    if (kind == Kind::dictionary && items.size() % 2) return fail("a key without a value");
    if (Value *to = top(kind)) to->items.insert(to->items.end(), items.begin(), items.end());
  }

  void remember(uint64_t key) {
    if (stack.empty()) return fail("the stack is empty");
    memo[key] = stack.back();
  }
  void recall(uint64_t key) {
    auto found = memo.find(key);
    if (found == memo.end()) return fail("value {} of the memo is missing", key);
    stack.push_back(found->second);
  }

  void execute(uint8_t opcode) {
    switch (opcode) {
    case 0x80: // PROTO
      if (auto protocol = number<uint8_t>(); protocol < 2 || protocol > 5)
        fail("protocol {}, expected 2 to 5", protocol);
      return;
    case 0x95: // FRAME: the length of the next piece, which is not needed
      number<uint64_t>();
      return;
    case '(': // MARK
      return marks.push_back(stack.size());
    case 'N': // NONE
      return push(Kind::none, 0);
    case 0x88: // NEWTRUE
    case 0x89: // NEWFALSE
      return push(Kind::boolean, opcode == 0x88);
    case 'J': // BININT
      return push(Kind::integer, number<int32_t>());
    case 'K': // BININT1
      return push(Kind::integer, number<uint8_t>());
    case 'M': // BININT2
      return push(Kind::integer, number<uint16_t>());
    case 0x8a: // LONG1
      return longInteger(text(number<uint8_t>()));
    case 'G': // BINFLOAT
      number<uint64_t>();
      return push(Kind::real, 0);
    case 'X': // BINUNICODE
    case 'T': // BINSTRING
      return pushText(text(number<uint32_t>()));
    case 0x8c: // SHORT_BINUNICODE
    case 'U':  // SHORT_BINSTRING
      return pushText(text(number<uint8_t>()));
    case 0x8d: // BINUNICODE8
      return pushText(text(number<uint64_t>()));
    case '}': // EMPTY_DICT
      return pushItems(Kind::dictionary, {});
    case ']': // EMPTY_LIST
      return pushItems(Kind::list, {});
    case ')': // EMPTY_TUPLE
      return pushItems(Kind::tuple, {});
    case 't': // TUPLE
      return pushItems(Kind::tuple, popToMark());
    case 0x85: // TUPLE1
    case 0x86: // TUPLE2
    case 0x87: // TUPLE3
      return pushItems(Kind::tuple, popSome(opcode - 0x84u));
    case 's': // SETITEM
      return append(Kind::dictionary, popSome(2));
    case 'u': // SETITEMS
      return append(Kind::dictionary, popToMark());
    case 'a': // APPEND
      return append(Kind::list, popSome(1));
    case 'e': // APPENDS
      return append(Kind::list, popToMark());
    case 'q': // BINPUT
      return remember(number<uint8_t>());
    case 'r': // LONG_BINPUT
      return remember(number<uint32_t>());
    case 0x94: // MEMOIZE
      return remember(memo.size());
    case 'h': // BINGET
      return recall(number<uint8_t>());
    case 'j': // LONG_BINGET
      return recall(number<uint32_t>());
    case 'c': { // GLOBAL
      std::string_view module = line(), name = line();
      return global(module, name);
    }
    case 0x93: { // STACK_GLOBAL
      uint32_t name = pop(), module = pop();
      if (value(name).kind != Kind::text || value(module).kind != Kind::text)
        return fail("a name that is not a text");
      return global(value(module).text, value(name).text);
    }
    case 'R': { // REDUCE
      uint32_t arguments = pop(), function = pop();
      return call(function, arguments);
    }
    case 'Q': // BINPERSID
      return storage(pop());
    case 'b': // BUILD: attributes; those of a dictionary (_metadata) do not affect tensors
      pop();
      top(Kind::dictionary);
      return;
    default:
      fail("opcode 0x{:02x}, which no dictionary of tensors needs", opcode);
    }
  }

  void longInteger(std::string_view little_endian) {
    if (failed) return;
    if (little_endian.size() > 8) return push({.kind = Kind::large, .text = little_endian, .items = {}});
    int64_t result = !little_endian.empty() && static_cast<signed char>(little_endian.back()) < 0 ? -1 : 0;
    std::memcpy(&result, little_endian.data(), little_endian.size());
    push(Kind::integer, result);
  }

  void global(std::string_view module, std::string_view name) {
    if (failed) return;
    for (const KnownName &known : kNames)
      if (known.module == module && known.name == name)
        return push(
            {.kind = Kind::function, .type = known.type, .number = known.function, .text = {}, .items = {}});
    fail("it names {}.{}; only tensors are read, and nothing is run", shown(module), shown(name));
  }

  void call(uint32_t function, uint32_t arguments) {
    if (failed) return;
    if (value(function).kind != Kind::function || value(arguments).kind != Kind::tuple)
      return fail("{} is called", Pickle::describe(value(function)));
    if (value(arguments).items.size() > kMaxArguments)
      return fail("a function of {} arguments", value(arguments).items.size());
    const std::vector<uint32_t> given = value(arguments).items; // a copy: new values move `values`
    switch (value(function).number) {
    case orderedDict:
      return makeDictionary(given);
    case rebuildTensor:
      return given.size() == 4 ? makeTensor(given) : fail("_rebuild_tensor of {} arguments", given.size());
    case rebuildTensorV2: // requires_grad, backward_hooks and metadata follow the four
      return given.size() == 6 || given.size() == 7
                 ? makeTensor(given)
                 : fail("_rebuild_tensor_v2 of {} arguments", given.size());
    case rebuildParameter:
      if (given.empty() || value(given[0]).kind != Kind::tensor)
        return fail("a parameter that is not a tensor");
      return stack.push_back(given[0]);
    default:
      fail("a class of storages is called");
    }
  }

  /// Makes a dictionary without arguments, or from a list of pairs.
  void makeDictionary(const std::vector<uint32_t> &given) {
    std::vector<uint32_t> items;
    if (given.size() == 1 && copied + value(given[0]).items.size() > kMaxOpcodes)
      return fail("more than {} items of dictionaries", kMaxOpcodes);
    if (given.size() > 1 || (given.size() == 1 && value(given[0]).kind != Kind::list))
      return fail("an OrderedDict of other arguments than a list");
    if (given.size() == 1)
      for (uint32_t pair : value(given[0]).items) {
        if (value(pair).items.size() != 2 || value(pair).kind == Kind::dictionary)
          return fail("an OrderedDict of an item that is not a pair");
        items.insert(items.end(), value(pair).items.begin(), value(pair).items.end());
      }
    copied += items.size();
    pushItems(Kind::dictionary, std::move(items));
  }

  bool readSizes(uint32_t from, std::vector<int64_t> &sizes) {
    if (value(from).kind != Kind::tuple || value(from).items.size() > kMaxRank) return false;
    for (uint32_t i : value(from).items) {
      if (value(i).kind != Kind::integer || value(i).number < 0) return false;
      sizes.push_back(value(i).number);
    }
    return true;
  }

  void makeTensor(const std::vector<uint32_t> &given) {
    if (out.list.size() >= kMaxTensors) return fail("more than {} tensors", kMaxTensors);
    const Value &storage = value(given[0]), &offset = value(given[1]);
    PickledTensor tensor;
    if (storage.kind != Kind::storage || offset.kind != Kind::integer || offset.number < 0 ||
        !readSizes(given[2], tensor.shape) || !readSizes(given[3], tensor.stride) ||
        tensor.shape.size() != tensor.stride.size())
      return fail("a tensor is expected to be a storage, an offset, sizes and strides");
    tensor.storage = storage.text;
    tensor.storage_elements = static_cast<uint64_t>(storage.number);
    tensor.type = storage.type;
    tensor.offset = static_cast<uint64_t>(offset.number);
    out.list.push_back(std::move(tensor));
    push(Kind::tensor, static_cast<int64_t>(out.list.size() - 1));
  }

  /// Reads ("storage", class, key, location, elements), and the part if a storage is a part of another one.
  void storage(uint32_t id) {
    if (failed) return;
    const std::vector<uint32_t> &parts = value(id).items;
    if (value(id).kind != Kind::tuple || parts.size() < 5 || parts.size() > 6 ||
        value(parts[0]).kind != Kind::text || value(parts[0]).text != "storage" ||
        value(parts[1]).kind != Kind::function || value(parts[1]).number != storageClass ||
        value(parts[2]).kind != Kind::text || value(parts[4]).kind != Kind::integer ||
        value(parts[4]).number < 0)
      return fail("an external object that is not a storage of a known type");
    if (parts.size() == 6 && value(parts[5]).kind != Kind::none)
      return fail("storage \"{}\" is a part of another one, which is not supported",
                  shown(value(parts[2]).text));
    push({.kind = Kind::storage,
          .type = value(parts[1]).type,
          .number = value(parts[4]).number,
          .text = value(parts[2]).text,
          .items = {}});
  }

  std::span<const std::byte> bytes;
  const std::string &where;
  Pickle &out;
  uint64_t at = 0, opcode_at = 0;
  size_t copied = 0; // items copied from lists, limited because a pickle can use a long list many times
  std::vector<uint32_t> stack;
  std::vector<size_t> marks;
  std::unordered_map<uint64_t, uint32_t> memo;
  bool failed = false;
  std::string failure;
};

Result<Pickle> Pickle::read(std::span<const std::byte> bytes, const std::string &where) {
  Pickle pickle;
  LINNET_TRY(PickleMachine(bytes, where, pickle).run());
  return pickle;
}

std::string Pickle::describe(const Value &value) {
  switch (value.kind) {
  case Kind::none:
    return "None";
  case Kind::boolean:
    return value.number ? "True" : "False";
  case Kind::integer:
    return fmt::format("the number {}", value.number);
  case Kind::large:
  case Kind::real:
    return "a number";
  case Kind::text:
    return fmt::format("the text \"{}\"", shown(value.text));
  case Kind::tuple:
    return fmt::format("a tuple of {}", value.items.size());
  case Kind::list:
    return fmt::format("a list of {}", value.items.size());
  case Kind::dictionary:
    return fmt::format("a dictionary of {} entries", value.items.size() / 2);
  case Kind::function:
    return "a class or function";
  case Kind::storage:
    return "a storage";
  case Kind::tensor:
    return "a tensor";
  }
  return "a value";
}

} // namespace linnet
