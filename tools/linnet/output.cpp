#include "output.h"
#include "support/json.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <unistd.h>

namespace linnet::cli {
namespace {

std::string pending;
int write_error = 0;
std::string unprintable; ///< an infinite or NaN number of the first JSON that had one

bool writeAll(int fd, std::string_view text, int &error) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error = n < 0 ? errno : EIO;
      return false;
    }
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

/// Writes one line to standard error. Messages quote names of untrusted files, which could hold a terminal's
/// escape sequences: control characters become spaces.
void writeLine(std::string_view prefix, std::string_view message) {
  constexpr char kDelete = 0x7F;
  std::string line(prefix);
  for (char c : message) line += (c >= 0 && c < ' ' && c != '\t') || c == kDelete ? ' ' : c;
  line += '\n';
  int ignored = 0;
  writeAll(STDERR_FILENO, line, ignored);
}

/// Length of the well-formed UTF-8 character at the start of `text`, 0 if there is none.
size_t characterLength(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  auto follows = [&](size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  unsigned b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xC2 && b < 0xE0) return follows(1, 0x80, 0xBF) ? 2 : 0;
  if (b >= 0xE0 && b < 0xF0)
    return follows(1, b == 0xE0 ? 0xA0 : 0x80, b == 0xED ? 0x9F : 0xBF) && follows(2, 0x80, 0xBF) ? 3 : 0;
  if (b >= 0xF0 && b < 0xF5)
    return follows(1, b == 0xF0 ? 0x90 : 0x80, b == 0xF4 ? 0x8F : 0xBF) && follows(2, 0x80, 0xBF) &&
                   follows(3, 0x80, 0xBF)
               ? 4
               : 0;
  return 0;
}

/// Width in characters, so that columns are aligned.
size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string padded(const std::string &text, size_t to, bool right) {
  std::string fill(to - std::min(to, width(text)), ' ');
  return right ? fill + text : text + fill;
}

} // namespace

void put(std::string_view text) {
  if (write_error) return;
  pending += text;
  if (pending.size() >= 65536) flush();
}

namespace {

/// The path of an infinite or NaN number in `value`, which JSON would print as null: "/answers/0/score".
/// Empty if there is none.
std::string placeOfNotFinite(const Json &value) {
  if (value.is_number_float())
    return std::isfinite(value.get<double>()) ? "" : " is " + fmt::format("{}", value.get<double>());
  if (value.is_object())
    for (auto &[key, part] : value.items())
      if (std::string place = placeOfNotFinite(part); !place.empty()) return "/" + key + place;
  if (value.is_array())
    for (size_t i = 0; i < value.size(); ++i)
      if (std::string place = placeOfNotFinite(value[i]); !place.empty())
        return fmt::format("/{}{}", i, place);
  return {};
}

} // namespace

void printJson(const Json &value) {
  if (std::string place = placeOfNotFinite(value); !place.empty()) {
    if (unprintable.empty()) unprintable = place;
    return;
  }
  put(std::string_view(value.dump(-1, ' ', false, Json::error_handler_t::replace)));
  put("\n");
}

bool flush() {
  if (!write_error && !pending.empty()) writeAll(STDOUT_FILENO, pending, write_error);
  pending.clear();
  return write_error == 0;
}

int finish() {
  if (flush()) {
    if (unprintable.empty()) return 0;
    printError(fmt::format("cannot print the answer as JSON: {}, expected a finite number", unprintable));
    return 1;
  }
  if (write_error == EPIPE) return 141;
  printError(fmt::format("cannot write to standard output: {}", std::strerror(write_error)));
  return 1;
}

void printError(std::string_view message) { writeLine("linnet: error: ", message); }
void note(std::string_view message) { writeLine("linnet: ", message); }

void writeError(std::string_view text) {
  int ignored = 0;
  writeAll(STDERR_FILENO, text, ignored);
}

bool stderrIsTerminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

void Progress::show(std::string_view what, double fraction) {
  if (!stderrIsTerminal()) {
    if (auto now = std::chrono::steady_clock::now(); every > 0 && now >= next) {
      note(fmt::format("{:.0f}% {}", std::clamp(fraction, 0.0, 1.0) * 100, what));
      next = now + std::chrono::duration<double>(every);
    }
    return;
  }
  constexpr int kCells = 24;
  fraction = std::clamp(fraction, 0.0, 1.0);
  int full = static_cast<int>(fraction * kCells);
  std::string line = fmt::format("\r\x1b[K[{:#<{}}{:.<{}}] {:3.0f}% {}", "", full, "", kCells - full,
                                 fraction * 100, what.substr(0, 40));
  if (line == last) return;
  int ignored = 0;
  writeAll(STDERR_FILENO, line, ignored);
  last = std::move(line);
}

void Progress::clear() {
  if (last.empty()) return;
  int ignored = 0;
  writeAll(STDERR_FILENO, "\r\x1b[K", ignored);
  last.clear();
}

std::string bytesText(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  while (value >= 1024 && unit < 4) value /= 1024, ++unit;
  return fmt::format("{:.1f} {}iB", value, "KMGTP"[unit]);
}

std::string countText(uint64_t count) {
  if (count < 1000) return fmt::format("{}", count);
  double value = static_cast<double>(count) / 1000;
  int unit = 0;
  while (value >= 1000 && unit < 3) value /= 1000, ++unit;
  return fmt::format("{:.1f} {}", value, "kMGT"[unit]);
}

std::string secondsText(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    unsigned char c = static_cast<unsigned char>(text[0]);
    size_t length = characterLength(text);
    if (c == '"' || c == '\\')
      out += '\\', out += text[0];
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (length == 0 || c < 0x20 || c == 0x7F)
      out += fmt::format("\\x{:02x}", c);
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out + '"';
}

Table::Table(std::string a, std::vector<std::string> header) : alignment(std::move(a)) {
  add(std::move(header));
}
void Table::add(std::vector<std::string> row) {
  row.resize(alignment.size());
  rows.push_back(std::move(row));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> result(alignment.size(), 0);
  for (auto &row : rows)
    for (size_t i = 0; i < row.size(); ++i) result[i] = std::max(result[i], width(row[i]));
  return result;
}

std::string Table::markdown() const {
  std::vector<size_t> w = widths();
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < w.size(); ++i) out += "| " + padded(rows[r][i], w[i], alignment[i] == 'r') + " ";
    out += "|\n";
    if (r) continue;
    for (size_t i = 0; i < w.size(); ++i)
      out += "| " + std::string(w[i] - (alignment[i] == 'r'), '-') + (alignment[i] == 'r' ? ": " : " ");
    out += "|\n";
  }
  return out;
}

std::string Table::plain(std::string_view indent) const {
  std::vector<size_t> w = widths();
  std::string out;
  for (auto &row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < w.size(); ++i) line += (i ? "  " : "") + padded(row[i], w[i], alignment[i] == 'r');
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

} // namespace linnet::cli
