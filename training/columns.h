// Finds the columns of a CSV or TSV file, or the keys of a JSON object, that hold texts and labels.
#pragma once
#include "support/result.h"
#include "training/delimited.h"
#include "training/records.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace linnet::training {

/// Indices of a record's parts in a list of fields. Either `text` is set, or `prompt` and `completion`.
struct Columns {
  std::optional<size_t> text = {}, prompt = {}, completion = {}, label = {};
};

/// Finds the parts by the fields' names, which are compared without case and blanks.
///   options.text_column, options.label_column   win if set; a name that is missing is an error
///   text    "text"; else "prompt" and "completion"; else the only one of sentence, review, content, message
///   label   "label"; else the only one of category, sentiment, class, target; only if options.labels
/// The error begins with `where` and lists `names` and the options that name a column.
Result<Columns> columnsByName(const std::vector<std::string> &names, const ReadOptions &options,
                              const std::string &where);

/// A delimited file's columns.
struct Table {
  Columns columns;
  bool header = true; ///< The first row holds names, not a record.
};

/// Reads the first row as names (see columnsByName). There is no header in two cases:
///   - options.text_column and options.label_column are numbers, from 1, and no column has such a name;
///   - the first row has no known name, and one of its fields occurs again in its column, as a label does.
///     The file then has at most two columns. The column with fewer distinct fields holds the
///     labels, the first one if they have the same number.
/// Any other file without known names is an error. `rows` is not empty.
Result<Table> columnsOf(const std::vector<DelimitedRow> &rows, const ReadOptions &options,
                        const std::string &where);

} // namespace linnet::training
