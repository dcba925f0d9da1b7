// Output of the commands: standard output with error detection, progress on a terminal, readable numbers.
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

/// Writes to standard output. Text is buffered until flush() or 64 KiB. After a failed write the rest is
/// dropped, and finish() reports the error.
void put(std::string_view text);
template <class... Args> void put(fmt::format_string<Args...> format, Args &&...args) {
  put(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}
/// Prints one JSON value on a separate line. Ill-formed UTF-8 in strings becomes U+FFFD. A value with an
/// infinite or NaN number is not printed, and finish() names the number.
void printJson(const Json &value);
/// Returns false if standard output is closed; a streaming command then stops.
bool flush();
/// Flushes. Returns 0, or the exit code after a failed write: 141 without a message if the reader closed the
/// pipe, else 1 with an error line.
int finish();

/// `linnet: error: MESSAGE` and `linnet: MESSAGE` on standard error, as one line each.
void printError(std::string_view message);
void note(std::string_view message);
bool stderrIsTerminal();
/// Writes text to standard error without a prefix or newline, such as a prompt.
void writeError(std::string_view text);

/// Shows progress on standard error. On a terminal it updates one line. Elsewhere it writes a line every
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
/// The text on one line in double quotes, with escaped control characters and ill-formed UTF-8.
std::string quoted(std::string_view text);

/// A table with aligned columns. `right` has a character per column, 'r' or 'l'.
class Table {
public:
  Table(std::string alignment, std::vector<std::string> header);
  void add(std::vector<std::string> row);
  /// The table in Markdown: lines `| a | b |` with a rule below the header. plain() has columns two spaces
  /// apart instead.
  std::string markdown() const;
  std::string plain(std::string_view indent = "") const;

private:
  std::vector<size_t> widths() const;
  std::string alignment;
  std::vector<std::vector<std::string>> rows; // the first is the header
};

} // namespace linnet::cli
