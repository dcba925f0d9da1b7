// Parses CSV (RFC 4180) and TSV, which has no quotes.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

struct DelimitedRow {
  std::vector<std::string> fields;
  int64_t line = 0; ///< its first line, from 1
};

/// Rows of `text`. Empty lines are skipped. A line ends with LF or CR LF. Errors begin with `where`.
Result<std::vector<DelimitedRow>> parseCsv(std::string_view text, const std::string &where);
std::vector<DelimitedRow> parseTsv(std::string_view text);

} // namespace linnet::training
