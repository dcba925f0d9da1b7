// Reads a JSON object strictly: wrong types, values out of range and unknown names are errors that name the field.
#pragma once
#include "server/api_error.h"
#include "support/json.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace linnet::server {

/// All functions throw ApiError. A field that is null counts as absent.
class Fields {
public:
  /// `path` is the object's place in the request ("stream_options"), empty for the request itself. `object` must
  /// outlive this.
  explicit Fields(const Json &object, std::string path = "");

  /// The field, or null.
  const Json *find(const std::string &name);
  std::optional<int64_t> integer(const std::string &name, int64_t low, int64_t high);
  std::optional<double> number(const std::string &name, double low, double high);
  std::optional<bool> boolean(const std::string &name);
  std::optional<std::string> text(const std::string &name);
  /// A field that has no effect.
  void ignore(const std::string &name) { find(name); }
  /// A field that is an error unless its value is neutral, that is, one of those that change nothing.
  void unsupported(const std::string &name, const std::vector<Json> &neutral = {});
  /// Throws for a field that nothing has read.
  void finish() const;

  /// The field's place, for example "messages[1].content".
  std::string place(const std::string &name) const { return path.empty() ? name : path + "." + name; }

private:
  const Json &object;
  std::string path;
  std::vector<std::string> known;
};

/// The text of a value for an error, shortened.
std::string foundText(const Json &value);
/// An error about a field: "PLACE: expected EXPECTED, found FOUND".
ApiError wrong(const std::string &place, const std::string &expected, const std::string &found);
inline ApiError wrong(const std::string &place, const std::string &expected, const char *found) {
  return wrong(place, expected, std::string(found));
}
inline ApiError wrong(const std::string &place, const std::string &expected, const Json &found) {
  return wrong(place, expected, foundText(found));
}

} // namespace linnet::server
