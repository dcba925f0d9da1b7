#include "training/select.h"
#include "support/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

namespace linnet::training {
namespace {

std::vector<std::string> splitOutsideBraces(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (char c : text) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (c == ',' && depth == 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                    : std::nullopt;
}

/// Whether `name` is `choice` (a word, or from..to) followed by a match of the pattern `rest`.
bool matchesChoice(std::string_view choice, std::string_view rest, std::string_view name) {
  size_t dots = choice.find("..");
  auto low = dots == choice.npos ? std::nullopt : number(choice.substr(0, dots));
  auto high = dots == choice.npos ? std::nullopt : number(choice.substr(dots + 2));
  if (!low || !high) return name.starts_with(choice) && matchesPattern(rest, name.substr(choice.size()));
  size_t digits = 0;
  while (digits < name.size() && name[digits] >= '0' && name[digits] <= '9') ++digits;
  auto found = number(name.substr(0, digits));
  return found && *found >= *low && *found <= *high && matchesPattern(rest, name.substr(digits));
}

/// The folded name of all blocks: "blocks.{0..11}.rest" for "blocks.0.rest".
std::string folded(std::string name, int64_t blocks) {
  const size_t at = ("." + name).find(".0.");
  return at == name.npos ? name : name.replace(at, 1, fmt::format("{{0..{}}}", blocks - 1));
}

template <class Wanted>
std::vector<std::string> namesWhere(const std::vector<ParameterInfo> &all, Wanted wanted) {
  std::vector<std::string> names;
  for (const ParameterInfo &parameter : all)
    if (wanted(parameter)) names.push_back(parameter.name);
  return names;
}

} // namespace

int64_t ParameterInfo::elements() const {
  int64_t count = 1;
  for (int64_t dim : shape) count *= dim;
  return count;
}

bool matchesPattern(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  std::string_view rest = pattern.substr(1);
  if (pattern[0] == '*') {
    for (size_t skip = 0; skip <= name.size(); ++skip)
      if (matchesPattern(rest, name.substr(skip))) return true;
    return false;
  }
  size_t close = pattern.find('}');
  if (pattern[0] == '{' && close != pattern.npos) {
    for (const std::string &choice : splitOutsideBraces(pattern.substr(1, close - 1)))
      if (matchesChoice(choice, pattern.substr(close + 1), name)) return true;
    return false;
  }
  if (name.empty() || (pattern[0] != '?' && pattern[0] != name[0])) return false;
  return matchesPattern(rest, name.substr(1));
}

Result<std::vector<std::string>> selectByPattern(const std::vector<ParameterInfo> &all,
                                                 const std::string &patterns) {
  std::vector<std::string> parts = splitOutsideBraces(patterns);
  for (const std::string &pattern : parts)
    if (std::none_of(all.begin(), all.end(),
                     [&](const ParameterInfo &p) { return matchesPattern(pattern, p.name); }))
      return errorf("no parameter matches \"{}\"; there are: {}", pattern, foldedNames(all));
  return namesWhere(all, [&](const ParameterInfo &p) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](const std::string &pattern) { return matchesPattern(pattern, p.name); });
  });
}

Result<std::vector<std::string>> selectLastLayers(const std::vector<ParameterInfo> &all, int64_t count) {
  int64_t layers = layerCount(all);
  if (count < 1 || count > layers)
    return errorf("the model has {} layers, expected from 1 to {} to train, found {}", layers, layers, count);
  return namesWhere(all, [&](const ParameterInfo &p) {
    return p.block >= layers - count || (p.block < 0 && p.role == TensorRole::norm);
  });
}

std::vector<std::string> selectBiases(const std::vector<ParameterInfo> &all) {
  return namesWhere(all, [](const ParameterInfo &p) { return p.name.ends_with(".bias"); });
}

std::vector<std::string> selectNorms(const std::vector<ParameterInfo> &all) {
  return namesWhere(all, [](const ParameterInfo &p) { return p.role == TensorRole::norm; });
}

std::string foldedNames(const std::vector<ParameterInfo> &all) {
  std::vector<std::string> names;
  int64_t layers = layerCount(all);
  for (const ParameterInfo &parameter : all)
    if (parameter.block <= 0)
      names.push_back(parameter.block < 0 || layers == 1 ? parameter.name : folded(parameter.name, layers));
  return fmt::format("{}", fmt::join(names, ", "));
}

int64_t layerCount(const std::vector<ParameterInfo> &all) {
  int64_t count = 0;
  for (const ParameterInfo &parameter : all) count = std::max(count, parameter.block + 1);
  return count;
}

double layerwiseScale(const ParameterInfo &parameter, int64_t layers, double decay) {
  const bool embeds = parameter.role == TensorRole::embedding || parameter.role == TensorRole::positions;
  const int64_t depth = parameter.block >= 0 ? layers - parameter.block : embeds ? layers + 1 : 0;
  return std::pow(decay, static_cast<double>(depth));
}

bool decays(const ParameterInfo &parameter) { return parameter.shape.size() > 1; }

} // namespace linnet::training
