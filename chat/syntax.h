// The syntax tree of a template.
#pragma once
#include "chat/lexer.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace linnet::chat {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Block = std::vector<std::unique_ptr<Stmt>>;

enum class ExprKind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string, ///< literals; undefined: a part that was left out
  name,
  list,
  tuple,
  dict,      ///< dict: keys and values in turn
  attribute, ///< child 0 . text
  item,      ///< child 0 [child 1]
  slice,     ///< child 0 [child 1 : child 2 : child 3]
  call,      ///< child 0 is called
  filter,
  test, ///< text is applied to child 0
  negate,
  plus,
  logical_not,
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  concat,
  logical_and,
  logical_or,
  compare,    ///< child 0, then an operand for each of `operators`
  conditional ///< child 1 if child 0 else child 2
};

inline constexpr const char *kListedArguments = "*", *kNamedArguments = "**";

enum class Comparison : uint8_t { eq, ne, lt, le, gt, ge, in, not_in };

struct Expr {
  ExprKind kind;
  Position at;
  int depth = 1; ///< levels of the tree below and including this node
  std::string text = {};
  bool truth = false;
  int64_t integer = 0;
  double real = 0;
  std::vector<ExprPtr> children = {};
  std::vector<Comparison> operators = {};
  /// Arguments of call, filter and test are the children from 1 on. The last ones have these names. The name
  /// kListedArguments marks a list of further ones without a name, and kNamedArguments a dict of named ones.
  std::vector<std::string> names = {};
};

/// A target of an assignment: a name, an attribute of a namespace, or several targets.
struct Target {
  std::string name, attribute = {};
  std::vector<Target> parts = {};
};

enum class StmtKind : uint8_t {
  data,       ///< writes text
  print,      ///< writes expression 0
  branch,     ///< if: condition i decides for block i; the block after the last condition is else
  loop,       ///< for target in expression 0 [if expression 1]: block 0, else block 1
  assign,     ///< target = expression 0
  capture,    ///< target = block 0, through the filters in expression 0 if there is one
  filter,     ///< writes block 0 through the filters in expression 0
  macro,      ///< defines text(parameters)
  call_block, ///< writes expression 0, a call, whose macro calls block 0 as caller(parameters)
  scope,      ///< block 0 with new names: with (targets = expressions), generation
  break_loop,
  continue_loop
};

struct Parameter {
  std::string name;
  ExprPtr initial; ///< null: none
};

struct Stmt {
  StmtKind kind;
  Position at;
  std::string text = {};
  std::vector<ExprPtr> expressions = {};
  std::vector<Target> targets = {};
  std::vector<Block> blocks = {};
  std::vector<Parameter> parameters = {};
};

/// The name of the value that a filter block or a block assignment passes to its filters. No name of a
/// template can be equal to it.
inline constexpr const char *kCaptured = "{captured}";

/// Throws PositionedFault for a template that is malformed or needs what this library does not have.
Block parseTemplate(std::string_view source);

} // namespace linnet::chat
