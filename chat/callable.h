// What a template can call, and the names that macros see.
#pragma once
#include "chat/value.h"

#include <string_view>

namespace linnet::chat {

struct Stmt;

/// Names of a block. Looks up names in `parent` that it does not have.
struct Scope {
  Scope *parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> names = {};

  const Value *find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

enum class CallableKind : uint8_t { function, method, macro };

struct Callable {
  CallableKind kind = CallableKind::function;
  std::string_view name;       ///< of a function or method
  Value object;                ///< of a method
  const Stmt *macro = nullptr; ///< a macro, or a call block whose body is called
  Scope *scope = nullptr;      ///< the scope that defines the macro
};

} // namespace linnet::chat
