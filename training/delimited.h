// Lines of fields: CSV as RFC 4180 has it, and TSV, which knows no quotes.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

struct DelimitedRow {
  std::vector<std::string> fields;
  int64_t line = 0; ///< the line it begins on, from 1
};

/// Rows of `text`; empty lines are passed over, a carriage return before the line's end belongs to the end.
/// `where` starts errors.
Result<std::vector<DelimitedRow>> parseCsv(std::string_view text, const std::string &where);
std::vector<DelimitedRow> parseTsv(std::string_view text);

} // namespace linnet::training
