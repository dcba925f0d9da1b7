#include "training/columns.h"
#include "support/error.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <span>
#include <string_view>

namespace linnet::training {
namespace {

// The first name of each list takes precedence. Two of the other names are ambiguous.
constexpr std::string_view kTextNames[] = {"text", "sentence", "review", "content", "message"};
constexpr std::string_view kLabelNames[] = {"label", "category", "sentiment", "class", "target"};

/// The name with ASCII letters in lower case and without white space.
std::string plain(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (std::string_view(" \t\r\n\v\f").find(c) != std::string_view::npos) continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// The fields in quotes, shortened, because the first row of a file without a header has whole texts.
std::string listed(const std::vector<std::string> &names) {
  constexpr size_t kNamesShown = 12, kBytesShown = 40;
  std::vector<std::string> shown;
  for (const std::string &name : names) {
    if (shown.size() == kNamesShown) break;
    std::string_view part(name);
    if (part.size() > kBytesShown) {
      part = part.substr(0, kBytesShown);
      part = part.substr(0, unicode::validPrefix(part));
    }
    shown.push_back(fmt::format("\"{}\"{}", part, part.size() < name.size() ? "..." : ""));
  }
  if (names.size() > kNamesShown) shown.push_back(fmt::format("{} more", names.size() - kNamesShown));
  return fmt::format("{}", fmt::join(shown, ", "));
}

/// Indices of a name: exact matches, or, if there are none, matches without case and blanks.
std::vector<size_t> placesOf(std::string_view name, const std::vector<std::string> &names) {
  std::vector<size_t> exact, similar;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) exact.push_back(i);
    if (plain(names[i]) == plain(name)) similar.push_back(i);
  }
  return exact.empty() ? similar : exact;
}

struct Search {
  const std::vector<std::string> &names;
  const std::string &where;

  Result<std::optional<size_t>> one(std::string_view name, const char *option) const {
    std::vector<size_t> places = placesOf(name, names);
    if (places.size() > 1) return ambiguous(places, option);
    return places.empty() ? std::optional<size_t>() : std::optional(places[0]);
  }

  Result<size_t> given(const std::string &name, const char *option) const {
    LINNET_ASSIGN(std::optional<size_t> place, one(name, option));
    if (place) return *place;
    return errorf("{}: no column \"{}\"; there are: {}", where, name, listed(names));
  }

  Result<std::optional<size_t>> known(std::span<const std::string_view> candidates,
                                      const char *option) const {
    std::vector<size_t> places;
    for (std::string_view candidate : candidates) {
      LINNET_ASSIGN(std::optional<size_t> place, one(candidate, option));
      if (place) places.push_back(*place);
    }
    if (places.size() > 1) return ambiguous(places, option);
    return places.empty() ? std::optional<size_t>() : std::optional(places[0]);
  }

  Error ambiguous(const std::vector<size_t> &places, const char *option) const {
    std::vector<std::string> found;
    for (size_t place : places) found.push_back(names[place]);
    return errorf("{}: expected one of {}, found several; name it with {}", where, listed(found), option);
  }
};

Result<void> findText(const Search &search, const ReadOptions &options, Columns &columns) {
  const char *option = "--text-column";
  if (!options.text_column.empty()) {
    LINNET_ASSIGN(columns.text, search.given(options.text_column, option));
    return {};
  }
  std::span<const std::string_view> names(kTextNames);
  LINNET_ASSIGN(columns.text, search.one(names[0], option));
  if (columns.text) return {};
  LINNET_ASSIGN(columns.prompt, search.one("prompt", option));
  LINNET_ASSIGN(columns.completion, search.one("completion", option));
  if (columns.prompt && columns.completion) return {};
  columns.prompt = columns.completion = std::nullopt;
  LINNET_ASSIGN(columns.text, search.known(names.subspan(1), option));
  return {};
}

Result<void> findLabel(const Search &search, const ReadOptions &options, Columns &columns) {
  const char *option = "--label-column";
  if (!options.label_column.empty()) {
    LINNET_ASSIGN(columns.label, search.given(options.label_column, option));
    return {};
  }
  std::span<const std::string_view> names(kLabelNames);
  LINNET_ASSIGN(columns.label, search.one(names[0], option));
  if (columns.label) return {};
  LINNET_ASSIGN(columns.label, search.known(names.subspan(1), option));
  return {};
}

bool hasText(const Columns &columns) { return columns.text || columns.prompt; }

/// The columns that the names determine. Parts without a known name are absent.
Result<Columns> knownColumns(const Search &search, const ReadOptions &options) {
  Columns columns;
  LINNET_TRY(findText(search, options, columns));
  if (options.labels) LINNET_TRY(findLabel(search, options, columns));
  return columns;
}

Error missing(const Columns &columns, const std::vector<std::string> &names, const ReadOptions &options,
              const std::string &where, const char *numbers) {
  bool text = hasText(columns), label = columns.label || !options.labels;
  if (text)
    return errorf("{}: no \"label\" among {}; name the labels' column with --label-column{}", where,
                  listed(names), numbers);
  if (label)
    return errorf("{}: no \"text\" among {}; name the texts' column with --text-column{}", where,
                  listed(names), numbers);
  return errorf("{}: no \"text\" and no \"label\" among {}; name the columns with --text-column and "
                "--label-column{}",
                where, listed(names), numbers);
}

/// Whether the row has a known name. It is then a header, even if other columns have unusual names.
bool hasKnownName(const std::vector<std::string> &names) {
  auto in = [&](std::span<const std::string_view> known) {
    return std::any_of(known.begin(), known.end(),
                       [&](std::string_view name) { return !placesOf(name, names).empty(); });
  };
  return in(kTextNames) || in(kLabelNames);
}

/// The index of a column that is given by its number, from 1; nothing if `text` is not a number.
std::optional<size_t> numbered(const std::string &text) {
  size_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number - 1;
}

/// The columns that the options give by number. Nothing if the options have no number, or only numbers that
/// are names.
Result<std::optional<Columns>> columnsByNumber(const std::vector<std::string> &names,
                                               const ReadOptions &options, const std::string &where) {
  auto numberOf = [&](const std::string &given) {
    return placesOf(given, names).empty() ? numbered(given) : std::nullopt;
  };
  auto text = numberOf(options.text_column);
  auto label = options.labels ? numberOf(options.label_column) : std::nullopt;
  if (!text && !label) return std::optional<Columns>();
  for (auto [number, option] : {std::pair(text, "--text-column"), std::pair(label, "--label-column")})
    if (number && *number >= names.size())
      return errorf("{}: {} is {}, there are {} columns", where, option, *number + 1, names.size());
  if (!text || (options.labels && !label))
    return errorf("{}: a file without a header needs the numbers of all columns: {}", where,
                  options.labels ? "--text-column and --label-column" : "--text-column");
  return std::optional(Columns{.text = text, .label = label});
}

size_t distinct(const std::vector<DelimitedRow> &rows, size_t column) {
  std::set<std::string_view> fields;
  for (const DelimitedRow &row : rows)
    if (column < row.fields.size()) fields.insert(row.fields[column]);
  return fields.size();
}

/// Columns of a file whose first row must be a record, because one of its fields occurs again.
std::optional<Columns> columnsWithoutHeader(const std::vector<DelimitedRow> &rows,
                                            const ReadOptions &options) {
  const std::vector<std::string> &first = rows[0].fields;
  if (first.size() > 2 || (options.labels && first.size() < 2)) return std::nullopt;
  auto again = [&](size_t column) {
    return std::any_of(rows.begin() + 1, rows.end(), [&](const DelimitedRow &row) {
      return column < row.fields.size() && row.fields[column] == first[column];
    });
  };
  if (!again(0) && (first.size() == 1 || !again(1))) return std::nullopt;
  Columns columns;
  columns.text = 0;
  if (first.size() == 1) return columns;
  size_t left = distinct(rows, 0), right = distinct(rows, 1);
  size_t label = left <= right ? 0 : 1;
  columns.text = 1 - label;
  if (options.labels) columns.label = label;
  return columns;
}

} // namespace

Result<Columns> columnsByName(const std::vector<std::string> &names, const ReadOptions &options,
                              const std::string &where) {
  LINNET_ASSIGN(Columns columns, knownColumns({names, where}, options));
  if (hasText(columns) && (columns.label || !options.labels)) return columns;
  return missing(columns, names, options, where, "");
}

Result<Table> columnsOf(const std::vector<DelimitedRow> &rows, const ReadOptions &options,
                        const std::string &file) {
  const std::vector<std::string> &names = rows[0].fields;
  std::string where = fmt::format("{}: line {}", file, rows[0].line);
  LINNET_ASSIGN(std::optional<Columns> by_number, columnsByNumber(names, options, where));
  if (by_number) return Table{*by_number, false};
  LINNET_ASSIGN(Columns columns, knownColumns({names, where}, options));
  if (hasText(columns) && (columns.label || !options.labels)) return Table{columns, true};
  bool asked = !options.text_column.empty() || !options.label_column.empty();
  if (!asked && !hasKnownName(names))
    if (auto found = columnsWithoutHeader(rows, options)) return Table{*found, false};
  return missing(columns, names, options, where, " (by number if the file has no header)");
}

} // namespace linnet::training
