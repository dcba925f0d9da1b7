#include "training/delimited.h"
#include "support/error.h"

#include <algorithm>

namespace linnet::training {
namespace {

class CsvReader {
public:
  CsvReader(std::string_view text, const std::string &where) : text(text), where(where) {}

  Result<std::vector<DelimitedRow>> read() {
    std::vector<DelimitedRow> rows;
    while (at < text.size()) {
      DelimitedRow row;
      row.line = line;
      do {
        LINNET_ASSIGN(std::string field, nextField());
        row.fields.push_back(std::move(field));
      } while (take(','));
      LINNET_TRY(endOfRow());
      if (row.fields.size() > 1 || !row.fields[0].empty()) rows.push_back(std::move(row));
    }
    return rows;
  }

private:
  bool take(char c) {
    if (at >= text.size() || text[at] != c) return false;
    ++at;
    return true;
  }

  Result<std::string> nextField() {
    if (take('"')) return quotedField();
    size_t end = std::min(text.find_first_of(",\"\r\n", at), text.size());
    std::string field(text.substr(at, end - at));
    at = end;
    if (at < text.size() && text[at] == '"')
      return errorf(
          "{}: line {}: a quote inside a field that does not begin with one (a field with quotes is "
          "written \"a \"\"word\"\"\")",
          where, line);
    return field;
  }

  Result<std::string> quotedField() {
    std::string field;
    int64_t begun = line;
    for (;;) {
      size_t end = text.find('"', at);
      if (end == text.npos)
        return errorf("{}: line {}: a quoted field begins here and never ends", where, begun);
      std::string_view part = text.substr(at, end - at);
      line += std::count(part.begin(), part.end(), '\n');
      field += part;
      at = end + 1;
      if (!take('"')) return field;
      field += '"';
    }
  }

  Result<void> endOfRow() {
    if (at >= text.size()) return {};
    take('\r');
    if (!take('\n') && at < text.size())
      return errorf("{}: line {}: expected a comma or the line's end after a closing quote, found '{}'",
                    where, line, text[at] >= ' ' && text[at] < 127 ? text.substr(at, 1) : "?");
    ++line;
    return {};
  }

  std::string_view text;
  const std::string &where;
  size_t at = 0;
  int64_t line = 1;
};

} // namespace

Result<std::vector<DelimitedRow>> parseCsv(std::string_view text, const std::string &where) {
  return CsvReader(text, where).read();
}

std::vector<DelimitedRow> parseTsv(std::string_view text) {
  std::vector<DelimitedRow> rows;
  for (int64_t line = 1; !text.empty(); ++line) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (rest.ends_with('\r')) rest.remove_suffix(1);
    if (rest.empty()) continue;
    DelimitedRow row{{}, line};
    for (;;) {
      size_t tab = rest.find('\t');
      row.fields.emplace_back(rest.substr(0, tab));
      if (tab == rest.npos) break;
      rest.remove_prefix(tab + 1);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

} // namespace linnet::training
