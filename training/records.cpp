#include "training/records.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"
#include "tokenizer/unicode.h"
#include "training/columns.h"
#include "training/delimited.h"

#include <algorithm>
#include <set>

namespace linnet::training {
namespace {

constexpr int kMaxRecordDepth = 8; // records are flat, but other values of the object may be nested

Result<void> checkUtf8(std::string_view text, const std::string &where) {
  size_t valid = unicode::validPrefix(text);
  if (valid == text.size()) return {};
  auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(valid), '\n');
  return errorf("{}: line {}: not UTF-8: byte 0x{:02x} at offset {}", where, line,
                static_cast<unsigned char>(text[valid]), valid);
}

/// Records, and the source of their parts: 'column "text"', '"prompt" and "completion"'.
struct Found {
  std::vector<Record> records;
  std::string texts, labels, remark;
};

std::string columnName(const Table &table, const std::vector<std::string> &names, size_t column) {
  return table.header ? fmt::format("column \"{}\"", names[column]) : fmt::format("column {}", column + 1);
}

Result<Found> fromRows(const std::vector<DelimitedRow> &rows, const std::string &where,
                       const ReadOptions &options) {
  Found found;
  if (rows.empty()) return found;
  LINNET_ASSIGN(Table table, columnsOf(rows, options, where));
  const auto &[text, prompt, completion, label] = table.columns;
  const std::vector<std::string> &names = rows[0].fields;
  for (size_t i = table.header ? 1 : 0; i < rows.size(); ++i) {
    const DelimitedRow &row = rows[i];
    if (row.fields.size() != names.size())
      return errorf("{}: line {}: expected {} columns, as on line {}, found {}", where, row.line,
                    names.size(), rows[0].line, row.fields.size());
    Record record;
    record.text = text ? row.fields[*text] : row.fields[*prompt] + row.fields[*completion];
    if (!text) record.learned_from = row.fields[*prompt].size();
    if (label) record.label = row.fields[*label];
    record.line = row.line;
    found.records.push_back(std::move(record));
  }
  found.texts = text ? columnName(table, names, *text)
                     : columnName(table, names, *prompt) + " and " + columnName(table, names, *completion);
  if (label) found.labels = columnName(table, names, *label);
  if (!table.header) found.remark = " (the file has no header)";
  return found;
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

/// Reads objects and strings of one file. The first object with other keys than "prompt" and "completion"
/// determines the key of the texts, so that keys are not mixed.
class JsonReader {
public:
  explicit JsonReader(const ReadOptions &options) : options(options) {}

  Result<void> add(const Json &json, const std::string &where, int64_t number) {
    LINNET_ASSIGN(Record record, recordOf(json, where));
    record.line = number;
    found.records.push_back(std::move(record));
    return {};
  }

  Found finish() && {
    if (!text.empty()) sources.insert(fmt::format("\"{}\"", text));
    found.texts = fmt::format("{}", fmt::join(sources, " and "));
    if (!label.empty()) found.labels = fmt::format("\"{}\"", label);
    return std::move(found);
  }

private:
  Result<Record> recordOf(const Json &json, const std::string &where) {
    Record record;
    if (json.is_string() && !options.labels) {
      sources.insert("strings");
      record.text = json.get<std::string>();
      return record;
    }
    if (!json.is_object())
      return errorf("{}: expected {}, found {}", where,
                    options.labels ? "an object" : "a string or an object", json.dump().substr(0, 40));
    LINNET_ASSIGN(Columns columns, columnsIn(json, where));
    if (columns.text) {
      LINNET_ASSIGN(record.text, stringAt(json, text, where));
    } else {
      LINNET_ASSIGN(std::string prompt, stringAt(json, keys[*columns.prompt], where));
      LINNET_ASSIGN(std::string completion, stringAt(json, keys[*columns.completion], where));
      sources.insert(fmt::format("\"{}\" and \"{}\"", keys[*columns.prompt], keys[*columns.completion]));
      record.text = prompt + completion;
      record.learned_from = prompt.size();
    }
    if (options.labels) {
      LINNET_ASSIGN(record.label, labelAt(json, label, where));
    }
    return record;
  }

  Result<Columns> columnsIn(const Json &json, const std::string &where) {
    keys.clear();
    for (const auto &[key, value] : json.items()) keys.push_back(key);
    ReadOptions known = options;
    if (!text.empty() && json.contains(text)) known.text_column = text;
    if (!label.empty()) known.label_column = label;
    LINNET_ASSIGN(Columns columns, columnsByName(keys, known, where));
    if (columns.text && text.empty()) text = keys[*columns.text];
    if (columns.text && text != keys[*columns.text])
      return errorf("{}: no \"{}\", which holds the texts before", where, text);
    if (columns.label && label.empty()) label = keys[*columns.label];
    return columns;
  }

  const ReadOptions &options;
  std::string text, label;       ///< the keys, after they are determined
  std::vector<std::string> keys; ///< of the latest object
  std::set<std::string> sources;
  Found found;
};

Result<Found> fromJsonLines(std::string_view text, const std::string &where, const ReadOptions &options) {
  JsonReader reader(options);
  for (int64_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    std::string place = fmt::format("{}: line {}", where, number);
    LINNET_ASSIGN(Json json, parseJson(line, place, kMaxRecordDepth));
    LINNET_TRY(reader.add(json, place, number));
  }
  return std::move(reader).finish();
}

Result<Found> fromJsonArray(std::string_view text, const std::string &where, const ReadOptions &options) {
  LINNET_ASSIGN(Json json, parseJson(text, where, kMaxRecordDepth));
  if (!json.is_array()) return errorf("{}: expected a JSON array of texts", where);
  JsonReader reader(options);
  int64_t number = 0;
  for (const Json &item : json) {
    ++number;
    LINNET_TRY(reader.add(item, fmt::format("{}: element {}", where, number), number));
  }
  return std::move(reader).finish();
}

Found fromPlainText(std::string_view text, const ReadOptions &options) {
  Found found;
  found.texts = options.plain == PlainTexts::Lines ? "its lines" : kWholeFile;
  for (int64_t number = 1; !text.empty(); ++number) {
    size_t end = options.plain == PlainTexts::Lines ? std::min(text.find('\n'), text.size()) : text.size();
    std::string_view part = text.substr(0, end);
    if (options.plain == PlainTexts::Lines && part.ends_with('\r')) part.remove_suffix(1);
    found.records.push_back({std::string(part), {}, 0, number});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

Result<Found> parseAs(std::string_view text, const std::string &where, const ReadOptions &options) {
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
  return fromPlainText(text, options);
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

Result<RecordFormat> formatByName(const std::string &path) {
  for (auto [ending, format] :
       {std::pair(".txt", RecordFormat::Text), std::pair(".jsonl", RecordFormat::JsonLines),
        std::pair(".ndjson", RecordFormat::JsonLines), std::pair(".json", RecordFormat::Json),
        std::pair(".csv", RecordFormat::Csv), std::pair(".tsv", RecordFormat::Tsv)})
    if (path.ends_with(ending)) return format;
  return errorf("{}: its name does not say what it is (.txt, .jsonl, .json, .csv, .tsv); give --format",
                path);
}

Result<MappedFile> openPlainText(const std::string &path) {
  if (const auto format = formatByName(path); format && *format != RecordFormat::Text)
    return errorf("{}: expected one plain text, found a name of a file of records: give its texts as a .txt",
                  path);
  return MappedFile::open(path);
}

std::string textsRead(const std::string &where, size_t texts, const std::string &source) {
  return fmt::format("{}: {} text{} from {}", where, texts, texts == 1 ? "" : "s", source);
}

Result<std::vector<Record>> parseRecords(std::string_view text, const std::string &where,
                                         const ReadOptions &options) {
  LINNET_ASSIGN(text, withoutByteOrderMark(text, where));
  LINNET_TRY(checkUtf8(text, where));
  LINNET_ASSIGN(Found found, parseAs(text, where, options));
  std::vector<Record> &records = found.records;
  if (records.empty()) return errorf("{}: no texts in it", where);
  for (const Record &record : records) {
    if (record.text.empty() && !options.empty_texts)
      return errorf("{}: line {}: the text is empty", where, record.line);
    if (options.labels && record.label.empty())
      return errorf("{}: line {}: the label is empty", where, record.line);
  }
  if (options.note)
    options.note(textsRead(where, records.size(), found.texts) +
                 (found.labels.empty() ? "" : ", labels from " + found.labels) + found.remark);
  return std::move(records);
}

Result<std::vector<Record>> readRecords(const std::string &path, const ReadOptions &options) {
  ReadOptions chosen = options;
  if (options.format == RecordFormat::Auto) {
    LINNET_ASSIGN(chosen.format, formatByName(path));
  }
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  return parseRecords(file.text(), path, chosen);
}

} // namespace linnet::training
