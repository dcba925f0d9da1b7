// Reads training texts from plain text, JSON, JSON Lines, CSV and TSV. Every error names the file and the
// line.
#pragma once
#include "support/file.h"
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

/// One text. `label` is its label in the file's spelling. `learned_from` is the offset in `text` where a
/// language model's loss begins: 0, or the end of the prompt.
struct Record {
  std::string text;
  std::string label;
  size_t learned_from = 0;
  int64_t line = 0; ///< line in the file, from 1; in a JSON array the number of the element
};

enum class RecordFormat : uint8_t { Auto, Text, JsonLines, Json, Csv, Tsv };
/// The texts of a plain text file: the file is one text, or each of its lines is one.
enum class PlainTexts : uint8_t { File, Lines };

struct ReadOptions {
  /// Auto: from the file's name (.txt, .jsonl or .ndjson, .json, .csv, .tsv); other names are errors.
  RecordFormat format = RecordFormat::Auto;
  /// Names of columns of a CSV or TSV file, or of JSON keys; or numbers of columns, from 1, of a file without
  /// a header. Empty: the usual names (see columns.h); a file without them is an error.
  std::string text_column = {}, label_column = {};
  PlainTexts plain = PlainTexts::File;
  /// Whether labels are needed: a record without one is then an error.
  bool labels = false;
  /// Whether empty texts are records (a blank line of a plain text file, an empty field). Otherwise they are
  /// errors.
  bool empty_texts = false;
  /// Called once per file, if set, with a line about the number and the source of the texts.
  std::function<void(const std::string &line)> note = {};
};

/// Reads a file.
///   text            one record, the whole file; or a record a line, with PlainTexts::Lines. A line ends with
///                   a line feed, with or without a carriage return; the last line's end may be missing.
///   JSON Lines      a string a line, or an object with "text", or with "prompt" and "completion" (the prompt
///                   is read, not learned), and "label" (string, number or boolean) where labels are wanted.
///                   The keys are found as the columns of a CSV file are.
///   JSON            an array of the same
///   CSV             RFC 4180: fields with commas, quotes or line ends stand in double quotes
///   TSV             no quoting: a tab always separates
/// Refuses files without records, empty texts (unless options.empty_texts), ill-formed UTF-8 and quotes that
/// do not close.
Result<std::vector<Record>> readRecords(const std::string &path, const ReadOptions &options = {});
/// The same for text in memory. Errors begin with `where`. `options.format` must not be Auto.
Result<std::vector<Record>> parseRecords(std::string_view text, const std::string &where,
                                         const ReadOptions &options);

/// The format of a file by its name. Another name is an error.
Result<RecordFormat> formatByName(const std::string &path);
/// Opens a file that is one plain text. A name that says that it holds records (.csv, .jsonl, ...) is an error.
Result<MappedFile> openPlainText(const std::string &path);
/// The line about the texts of a file: "a.csv: 40 texts from SOURCE".
std::string textsRead(const std::string &where, size_t texts, const std::string &source);
/// SOURCE for a file that is one text.
inline constexpr const char *kWholeFile = "the whole file";

/// "auto", "text", "jsonl", "json", "csv", "tsv".
Result<RecordFormat> parseRecordFormat(std::string_view name);

} // namespace linnet::training
