// Values of a template's expressions, with the meaning of Python's.
#pragma once
#include "support/json_fwd.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::chat {

/// Thrown inside the library when a template cannot be parsed or evaluated. Template::parse and
/// Template::render turn it into an Error with the position.
struct Fault {
  std::string message;
};

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  dict,
  space,
  loop,
  callable
};

struct Text;
struct List;
struct Dict;
struct Space;
struct Loop;
struct Callable;

/// A handle. The Heap owns everything that it points to.
struct Value {
  Kind kind = Kind::undefined;
  union {
    bool truth;
    int64_t integer;
    double real;
    const Text *text = nullptr; ///< for undefined: the reason, or null
    const List *list;
    const Dict *dict;
    Space *space;
    const Loop *loop;
    const Callable *callable;
  };

  bool is(Kind k) const { return kind == k; }
  std::string_view string() const; ///< only for Kind::string
};

struct Text {
  std::string bytes; ///< UTF-8
  bool safe = false; ///< result of the filter "safe"
};

/// Python's list, tuple, range, the views of a dict (items(), keys(), values()), and iterators such as the
/// result of the filter "map", which can be read once.
enum class Flavor : uint8_t { list, tuple, range, view, iterator };

struct List {
  Flavor flavor = Flavor::list;
  int depth = 1; ///< levels of nesting below and including this one
  std::vector<Value> items;
  mutable bool consumed = false; ///< for iterators
};

struct Dict {
  int depth = 1;
  std::vector<std::pair<Value, Value>> items; ///< in order of insertion
  const Value *find(std::string_view key) const;
};

/// The result of namespace(): its attributes can be assigned.
struct Space {
  std::vector<std::pair<std::string_view, Value>> attributes;
};

/// The variable `loop`.
struct Loop {
  std::vector<Value> items;
  size_t index = 0;
};

inline std::string_view Value::string() const { return text->bytes; }

/// A value of the kind whose pointer is still null.
inline Value ofKind(Kind kind) {
  Value value;
  value.kind = kind;
  return value;
}
Value ofList(const List *list);
Value ofCallable(const Callable *callable);
Value none();
Value boolean(bool value);
Value integer(int64_t value);
Value real(double value);

/// Allocates values and bounds the work of one rendering.
class Heap {
public:
  explicit Heap(int64_t work);

  /// Counts work: an evaluated node, a copied byte or a visited element costs 1. Throws Fault at the bound.
  void spend(size_t work);
  Value text(std::string bytes, bool safe = false);
  Value list(std::vector<Value> items, Flavor flavor = Flavor::list);
  Value dict(std::vector<std::pair<Value, Value>> items);
  Value undefined(std::string reason);
  Space *space();
  Callable *callable();
  Loop *loop(std::vector<Value> items);
  Value fromJson(const Json &json);

  Heap(const Heap &) = delete;
  Heap &operator=(const Heap &) = delete;
  ~Heap();

private:
  struct Pools;
  int64_t left;
  std::unique_ptr<Pools> pools;
};

/// The name of the value's type in Python: "str", "dict".
const char *typeName(Value value);
/// Throws Fault with the reason if the value is undefined.
void requireDefined(Value value);
bool truth(Value value);
bool isNumber(Value value); ///< an int, a float or a bool
/// An int or a bool as a number. Throws Fault, which names `what`, for all other values.
int64_t toInteger(Value value, const char *what);
double toReal(Value value, const char *what);
/// The text of a string. Throws Fault, which names `what`, for all other values.
std::string_view toText(Value value, const char *what);

bool equal(Heap &heap, Value a, Value b);
/// Less than zero, zero or more than zero. Throws Fault for values without an order.
int compare(Heap &heap, Value a, Value b, const char *op);
/// `in`.
bool contains(Heap &heap, Value container, Value item);
/// The elements in order: characters of a string, keys of a dict. Reads an iterator. Throws Fault for other
/// values.
std::vector<Value> elements(Heap &heap, Value value);
/// Python's str() and repr().
std::string str(Heap &heap, Value value);
std::string repr(Heap &heap, Value value);
/// Adds or replaces an entry. Throws Fault if the key is not hashable.
void assign(Heap &heap, std::vector<std::pair<Value, Value>> &items, Value key, Value value);

struct JsonOptions {
  bool ascii = false, sorted = false;
  std::string item_separator = ", ", key_separator = ": ", indent = {};
  bool multiline = false;
};
/// Python's json.dumps().
std::string dumps(Heap &heap, Value value, const JsonOptions &options);

} // namespace linnet::chat
