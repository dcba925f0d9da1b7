// What the commands share in writing: standard output that notices failures, progress on a terminal, numbers
// for people.
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"
#include <chrono>
#include <cstdint>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

/// Standard output. Text is kept until flush() or 64 KiB; after a failed write the rest is dropped and
/// finish() says why.
void put(std::string_view text);
template <class... Args> void put(fmt::format_string<Args...> format, Args &&...args) {
  put(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}
/// One JSON value on a line of its own. Ill-formed UTF-8 in strings becomes U+FFFD. A value that holds a
/// number that is infinite or NaN is not printed: finish() names the number.
void printJson(const Json &value);
/// False when standard output is gone: a command that streams then stops.
bool flush();
/// Flushes. 0, or the exit code after a write that failed: 141 quietly when the reader left, else 1 with an
/// error line.
int finish();

/// `linnet: error: MESSAGE` and `linnet: MESSAGE` on standard error, as one line each.
void printError(std::string_view message);
void note(std::string_view message);
bool stderrIsTerminal();
/// Standard error, as it is: a prompt for a line.
void writeError(std::string_view text);

/// Shows on standard error how far something is: a line that changes on a terminal; elsewhere a line each
/// `every` seconds, or none if that is 0.
class Progress {
public:
  explicit Progress(double every = 0)
      : every(every), next(std::chrono::steady_clock::now() + std::chrono::duration<double>(every)) {}
  /// `fraction` from 0 to 1.
  void show(std::string_view what, double fraction);
  void clear();
  ~Progress() { clear(); }

private:
  double every;
  std::chrono::time_point<std::chrono::steady_clock, std::chrono::duration<double>> next; ///< line in a log
  std::string last;
};

std::string bytesText(uint64_t bytes);   ///< "474.7 MiB"
std::string countText(uint64_t count);   ///< "124.4 M"
std::string secondsText(double seconds); ///< "12.3 ms", "4.56 s"
/// Control characters and ill-formed UTF-8 escaped, in double quotes: one line, whatever the text.
std::string quoted(std::string_view text);

/// Columns aligned by the longest cell; `right` has one character a column, 'r' or 'l'.
class Table {
public:
  Table(std::string alignment, std::vector<std::string> header);
  void add(std::vector<std::string> row);
  /// Lines of `| a | b |` with a rule below the header, as Markdown reads it; or plain columns two spaces
  /// apart.
  std::string markdown() const;
  std::string plain(std::string_view indent = "") const;

private:
  std::vector<size_t> widths() const;
  std::string alignment;
  std::vector<std::vector<std::string>> rows; // the first is the header
};

} // namespace linnet::cli
