// Texts to train on, as people keep them: plain text, JSON, JSON Lines, CSV, TSV. Every error names the file
// and the line.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::training {

/// One text. `label` is what a classifier should say of it, as the file spells it. `learned_from` is where in
/// `text` a language model's loss begins: 0, or behind the prompt.
struct Record {
  std::string text;
  std::string label;
  size_t learned_from = 0;
  int64_t line = 0; ///< of the file, from 1; in a JSON array the number of the element
};

enum class RecordFormat : uint8_t { Auto, Text, JsonLines, Json, Csv, Tsv };

struct ReadOptions {
  /// Auto: by the file's name (.txt, .jsonl or .ndjson, .json, .csv, .tsv); another name is an error.
  RecordFormat format = RecordFormat::Auto;
  /// Names of columns of a CSV or TSV file, or of JSON keys; or numbers of columns, from 1, of a file without
  /// a header. Empty: found by usual names (see columns.h); a file that has none of these is an error.
  std::string text_column = {}, label_column = {};
  /// Labels are wanted: a record without one is an error.
  bool labels = false;
  /// Called once per file, if set, with a line that says how many texts were read, and from where.
  std::function<void(const std::string &line)> note = {};
};

/// Reads a file.
///   text            one record, the whole file
///   JSON Lines      a string a line, or an object with "text", or with "prompt" and "completion" (the prompt
///                   is read, not learned), and "label" (string, number or boolean) where labels are wanted.
///                   The keys are found as the columns of a CSV file are.
///   JSON            an array of the same
///   CSV             RFC 4180: fields with commas, quotes or line ends stand in double quotes
///   TSV             no quoting: a tab always separates
/// Refuses files without records, empty texts, ill-formed UTF-8 and quotes that do not close.
Result<std::vector<Record>> readRecords(const std::string &path, const ReadOptions &options = {});
/// The same of text in memory; `where` starts errors. `options.format` is not Auto.
Result<std::vector<Record>> parseRecords(std::string_view text, const std::string &where,
                                         const ReadOptions &options);

/// "auto", "text", "jsonl", "json", "csv", "tsv".
Result<RecordFormat> parseRecordFormat(std::string_view name);

} // namespace linnet::training
