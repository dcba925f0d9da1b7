#include "training/records.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"
#include "tokenizer/unicode.h"
#include "training/delimited.h"

#include <algorithm>
#include <optional>

namespace linnet::training {
namespace {

constexpr int kMaxRecordDepth = 8; // a record is flat; what surrounds it may not be

Result<void> checkUtf8(std::string_view text, const std::string &where) {
  size_t valid = unicode::validPrefix(text);
  if (valid == text.size()) return {};
  auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(valid), '\n');
  return errorf("{}: line {}: not UTF-8: byte 0x{:02x} at offset {}", where, line,
                static_cast<unsigned char>(text[valid]), valid);
}

/// Which columns hold text and label, and whether the first row is their names.
struct Columns {
  size_t text = 0, label = 0;
  bool header = false;
};

std::optional<size_t> columnNamed(const DelimitedRow &row, std::string_view name) {
  for (size_t i = 0; i < row.fields.size(); ++i)
    if (row.fields[i] == name) return i;
  return std::nullopt;
}

Result<Columns> findColumns(const DelimitedRow &first, const std::string &where, const ReadOptions &options) {
  std::string text = options.text_column.empty() ? "text" : options.text_column;
  std::string label = options.label_column.empty() ? "label" : options.label_column;
  bool named = !options.text_column.empty() || !options.label_column.empty();
  auto text_at = columnNamed(first, text), label_at = columnNamed(first, label);
  if (text_at && (label_at || !options.labels)) return Columns{*text_at, label_at.value_or(0), true};
  if (named)
    return errorf("{}: line {}: no column \"{}\"; there are: {}", where, first.line, text_at ? label : text,
                  fmt::join(first.fields, ", "));
  if (!options.labels && first.fields.size() == 1) return Columns{0, 0, false};
  if (first.fields.size() < 2)
    return errorf("{}: line {}: expected a label and a text, found one column", where, first.line);
  return Columns{1, 0, false};
}

Result<std::vector<Record>> fromRows(const std::vector<DelimitedRow> &rows, const std::string &where,
                                     const ReadOptions &options) {
  std::vector<Record> records;
  if (rows.empty()) return records;
  LINNET_ASSIGN(Columns columns, findColumns(rows[0], where, options));
  size_t width = rows[0].fields.size();
  for (size_t i = columns.header ? 1 : 0; i < rows.size(); ++i) {
    const DelimitedRow &row = rows[i];
    if (row.fields.size() != width)
      return errorf("{}: line {}: expected {} columns, as on line {}, found {}", where, row.line, width,
                    rows[0].line, row.fields.size());
    Record record;
    record.text = row.fields[columns.text];
    if (options.labels) record.label = row.fields[columns.label];
    record.line = row.line;
    records.push_back(std::move(record));
  }
  return records;
}

Result<std::string> stringAt(const Json &object, const std::string &key, const std::string &where) {
  auto found = object.find(key);
  if (found == object.end()) return errorf("{}: no \"{}\"", where, key);
  if (found->is_string()) return found->get<std::string>();
  return errorf("{}: \"{}\" is expected to be a string, found {}", where, key, found->dump().substr(0, 40));
}

Result<std::string> labelAt(const Json &object, const std::string &key, const std::string &where) {
  auto found = object.find(key);
  if (found == object.end()) return errorf("{}: no \"{}\"", where, key);
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_integer() || found->is_boolean()) return found->dump();
  return errorf("{}: \"{}\" is expected to be a string, a whole number or a boolean, found {}", where, key,
                found->dump().substr(0, 40));
}

Result<Record> fromJson(const Json &json, const std::string &where, const ReadOptions &options) {
  Record record;
  if (json.is_string() && !options.labels) {
    record.text = json.get<std::string>();
    return record;
  }
  if (!json.is_object())
    return errorf("{}: expected {}, found {}", where, options.labels ? "an object" : "a string or an object",
                  json.dump().substr(0, 40));
  std::string text = options.text_column.empty() ? "text" : options.text_column;
  if (options.text_column.empty() && !json.contains("text") && json.contains("prompt")) {
    LINNET_ASSIGN(std::string prompt, stringAt(json, "prompt", where));
    LINNET_ASSIGN(std::string completion, stringAt(json, "completion", where));
    record.text = prompt + completion;
    record.learned_from = prompt.size();
  } else {
    LINNET_ASSIGN(record.text, stringAt(json, text, where));
  }
  if (options.labels) {
    LINNET_ASSIGN(record.label,
                  labelAt(json, options.label_column.empty() ? "label" : options.label_column, where));
  }
  return record;
}

Result<std::vector<Record>> fromJsonLines(std::string_view text, const std::string &where,
                                          const ReadOptions &options) {
  std::vector<Record> records;
  for (int64_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    std::string place = fmt::format("{}: line {}", where, number);
    LINNET_ASSIGN(Json json, parseJson(line, place, kMaxRecordDepth));
    LINNET_ASSIGN(Record record, fromJson(json, place, options));
    record.line = number;
    records.push_back(std::move(record));
  }
  return records;
}

Result<std::vector<Record>> fromJsonArray(std::string_view text, const std::string &where,
                                          const ReadOptions &options) {
  LINNET_ASSIGN(Json json, parseJson(text, where, kMaxRecordDepth));
  if (!json.is_array()) return errorf("{}: expected a JSON array of texts", where);
  std::vector<Record> records;
  for (const Json &item : json) {
    auto number = static_cast<int64_t>(records.size()) + 1;
    LINNET_ASSIGN(Record record, fromJson(item, fmt::format("{}: element {}", where, number), options));
    record.line = number;
    records.push_back(std::move(record));
  }
  return records;
}

Result<std::vector<Record>> parseAs(std::string_view text, const std::string &where,
                                    const ReadOptions &options) {
  switch (options.format) {
  case RecordFormat::JsonLines:
    return fromJsonLines(text, where, options);
  case RecordFormat::Json:
    return fromJsonArray(text, where, options);
  case RecordFormat::Csv: {
    LINNET_ASSIGN(std::vector<DelimitedRow> rows, parseCsv(text, where));
    return fromRows(rows, where, options);
  }
  case RecordFormat::Tsv:
    return fromRows(parseTsv(text), where, options);
  default:
    break;
  }
  if (options.labels)
    return errorf("{}: plain text has no labels; expected a .csv, .tsv, .jsonl or .json file", where);
  Record whole{std::string(text), {}, 0, 1};
  return text.empty() ? std::vector<Record>() : std::vector<Record>{whole};
}

} // namespace

Result<RecordFormat> parseRecordFormat(std::string_view name) {
  for (auto [known, format] :
       {std::pair("auto", RecordFormat::Auto), std::pair("text", RecordFormat::Text),
        std::pair("jsonl", RecordFormat::JsonLines), std::pair("json", RecordFormat::Json),
        std::pair("csv", RecordFormat::Csv), std::pair("tsv", RecordFormat::Tsv)})
    if (name == known) return format;
  return errorf("unknown format \"{}\"; there are auto, text, jsonl, json, csv, tsv", name);
}

Result<std::vector<Record>> parseRecords(std::string_view text, const std::string &where,
                                         const ReadOptions &options) {
  LINNET_ASSIGN(text, withoutByteOrderMark(text, where));
  LINNET_TRY(checkUtf8(text, where));
  LINNET_ASSIGN(std::vector<Record> records, parseAs(text, where, options));
  if (records.empty()) return errorf("{}: no texts in it", where);
  for (const Record &record : records) {
    if (record.text.empty()) return errorf("{}: line {}: the text is empty", where, record.line);
    if (options.labels && record.label.empty())
      return errorf("{}: line {}: the label is empty", where, record.line);
  }
  return records;
}

Result<std::vector<Record>> readRecords(const std::string &path, const ReadOptions &options) {
  ReadOptions chosen = options;
  if (options.format == RecordFormat::Auto) {
    std::string_view name = path;
    if (name.ends_with(".txt"))
      chosen.format = RecordFormat::Text;
    else if (name.ends_with(".jsonl") || name.ends_with(".ndjson"))
      chosen.format = RecordFormat::JsonLines;
    else if (name.ends_with(".json"))
      chosen.format = RecordFormat::Json;
    else if (name.ends_with(".csv"))
      chosen.format = RecordFormat::Csv;
    else if (name.ends_with(".tsv"))
      chosen.format = RecordFormat::Tsv;
    else
      return errorf("{}: its name does not say what it is (.txt, .jsonl, .json, .csv, .tsv); give --format",
                    path);
  }
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  return parseRecords(file.text(), path, chosen);
}

} // namespace linnet::training
