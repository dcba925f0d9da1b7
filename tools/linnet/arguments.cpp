#include "arguments.h"
#include "runtime/vulkan/device/context.h"
#include "support/error.h"
#include "support/text.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <unistd.h>

namespace linnet::cli {

void usageError(const std::string &message) { throw CLI::ParseError(message, CLI::ExitCodes::InvalidError); }

std::string example(std::string_view lines) { return "\nExample:\n" + std::string(lines); }

Result<std::vector<TokenId>> parseIds(std::string_view text, const std::string &option) {
  auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  auto trim = [&](std::string_view s) {
    while (!s.empty() && blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && blank(s.back())) s.remove_suffix(1);
    return s;
  };
  text = trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = trim(text.substr(1, text.size() - 2));
  std::vector<TokenId> ids;
  if (text.empty()) return ids;
  while (true) {
    size_t comma = text.find(',');
    std::string_view part = trim(text.substr(0, comma));
    TokenId id = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc() || end != part.data() + part.size() || id < 0)
      return errorf("{}: expected token ids like 1,2,3 (0 to 2147483647), found '{}' as number {}", option,
                    part.substr(0, 32), ids.size() + 1);
    ids.push_back(id);
    if (comma == std::string_view::npos) return ids;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string> splitCommas(const std::string &text, const std::string &option) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t comma = std::min(text.find(',', begin), text.size());
    if (comma == begin) usageError(option + ": a part of '" + text + "' is empty");
    parts.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return parts;
}

std::vector<int64_t> parseList(const std::string &text, const std::string &option) {
  std::vector<int64_t> values;
  for (const std::string &part : splitCommas(text, option)) {
    int64_t value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < 0)
      usageError(option + ": expected numbers like 128,512, found '" + part + "'");
    values.push_back(value);
  }
  return values;
}

std::string joinIds(const std::vector<TokenId> &ids) { return fmt::format("{}", fmt::join(ids, ",")); }

Result<std::string> readStdin() {
  std::string text;
  char buffer[65536];
  while (true) {
    ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errorf("cannot read standard input: {}", std::strerror(errno));
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::string> textOrStdin(const std::string &text) {
  if (text != "-") return text;
  LINNET_ASSIGN(std::string all, readStdin());
  LINNET_ASSIGN(std::string_view read, withoutByteOrderMark(all, "standard input"));
  if (read.ends_with('\n')) read.remove_suffix(read.ends_with("\r\n") ? 2 : 1);
  return std::string(read);
}

void PromptOption::add(CLI::App &command) {
  prompt_option = command.add_option("-p,--prompt", prompt, "text to start from; - reads standard input")
                      ->type_name("TEXT|-");
  ids_option =
      command.add_option("--ids", ids, "token ids instead of text; - reads them from standard input")
          ->type_name("1,2,3|-");
  prompt_option->excludes(ids_option);
}

void PromptOption::require() const {
  if (!given()) usageError("one of --prompt and --ids is required");
}

void DeviceOption::add(CLI::App &command) {
  command.add_option("-t,--threads", threads, "threads (default: OMP_NUM_THREADS, or one per core)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  command
      .add_option("--device", device,
                  "cpu, vulkan (one by vulkan:N or vulkan:NAME), or reference (the interpreter: slow)")
      ->type_name("D");
  command
      .add_option_function<std::string>(
          "--emulate-limits",
          [this](const std::string &file) {
            if (!device.starts_with("vulkan"))
              usageError("--emulate-limits is for Vulkan devices: it goes with --device vulkan");
            vulkan::emulateLimits(file);
          },
          "a Vulkan device looks as poor as this profile says (docs/devices)")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
}

CLI::Validator numberIn(double low, double high) {
  auto check = [low, high](const std::string &text) -> std::string {
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (value >= low && value <= high && end == text.c_str() + text.size()) return "";
    return fmt::format("Value {} not in range {:g} to {:g}", text, low, high);
  };
  return CLI::Validator(check, "");
}

CLI::Validator isSeed() {
  auto check = [](const std::string &text) -> std::string {
    uint64_t seed = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (error == std::errc() && end == text.data() + text.size()) return "";
    return fmt::format("expected a whole number from 0 to {}, found {}", std::numeric_limits<uint64_t>::max(),
                       text);
  };
  return CLI::Validator(check, "");
}

void addOneDnnOption(CLI::App &command, bool &onednn) {
  command.add_flag_callback(
      "--no-onednn", [&onednn] { onednn = false; }, "cpu: do not call oneDNN; it need not be installed");
}

void checkOneDnnOption(bool onednn, const std::vector<std::string> &targets, const char *option) {
  const auto is_cpu = [](const std::string &target) { return target.substr(0, target.find(':')) == "cpu"; };
  if (!onednn && std::none_of(targets.begin(), targets.end(), is_cpu))
    usageError(fmt::format("--no-onednn is for the cpu: it goes with {} cpu", option));
}

} // namespace linnet::cli
