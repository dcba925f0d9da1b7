#include "support/suggestion.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace linnet {
namespace {

size_t editDistance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] != b[j])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

} // namespace

std::string suggestion(const std::string &typed, const std::vector<std::string> &names) {
  std::string best;
  size_t distance = typed.size() / 2;
  for (const std::string &name : names) {
    size_t d = name.starts_with(typed) || typed.starts_with(name) ? 1 : editDistance(typed, name);
    if (d < distance || (d == distance && best.empty())) best = name, distance = d;
  }
  return best.empty() ? "" : "; did you mean " + best + "?";
}

} // namespace linnet
