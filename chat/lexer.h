// Splits a template into tokens, as Jinja2 does with trim_blocks and lstrip_blocks.
#pragma once
#include "chat/value.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet::chat {

/// A position in the source: line and column count from 1, the column in characters.
struct Position {
  int line = 1, column = 1;
};

/// A Fault at a position.
struct PositionedFault : Fault {
  Position at;
};

enum class TokenKind : uint8_t {
  data,           ///< text outside of tags
  variable_begin, ///< {{
  variable_end,
  block_begin, ///< {%
  block_end,
  name,
  string,
  integer,
  real,
  op,
  end
};

struct Token {
  TokenKind kind = TokenKind::end;
  Position at;
  std::string text = {}; ///< data, a name, an operator, or a string without quotes and escapes
  int64_t integer = 0;
  double real = 0;

  bool isOp(std::string_view op) const { return kind == TokenKind::op && text == op; }
  bool isName(std::string_view name) const { return kind == TokenKind::name && text == name; }
};

/// The tokens of `source`, the last of them of kind end. Throws PositionedFault.
std::vector<Token> tokenize(std::string_view source);

} // namespace linnet::chat
