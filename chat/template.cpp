#include "chat/template.h"
#include "chat/evaluator.h"
#include "support/error.h"

#include <nlohmann/json.hpp>

namespace linnet::chat {

struct Syntax {
  std::string where;
  Block block;
};

namespace {

constexpr int64_t kWork = int64_t(1) << 24; ///< steps of a rendering, about
constexpr int64_t kWorkPerByte = 64;        ///< further steps for each byte of the template and the variables

Error located(const std::string &where, Position at, const std::string &message) {
  return errorf("{}: line {}, column {}: {}", where, at.line, at.column, message);
}

/// Bytes of all strings, and one for each value.
size_t sizeOf(const Json &json) {
  size_t size = 1;
  if (json.is_string()) return size + json.get_ref<const std::string &>().size();
  if (json.is_structured())
    for (const Json &item : json) size += sizeOf(item);
  return size;
}

} // namespace

Result<Template> Template::parse(std::string_view source, const std::string &where) {
  if (source.size() > kMaxSource)
    return errorf("{}: expected a template of at most {} bytes, found {}", where, kMaxSource, source.size());
  try {
    auto syntax = std::make_shared<Syntax>();
    syntax->where = where;
    syntax->block = parseTemplate(source);
    Template made;
    made.syntax = std::move(syntax);
    return made;
  } catch (const PositionedFault &fault) {
    return located(where, fault.at, fault.message);
  }
}

Result<std::string> Template::render(const Json &variables, const std::tm &now) const {
  Evaluator evaluator(kWork + kWorkPerByte * static_cast<int64_t>(sizeOf(variables)), now);
  try {
    Scope scope;
    for (const auto &[name, value] : variables.items())
      scope.names.emplace_back(name, evaluator.heap.fromJson(value));
    return evaluator.run(syntax->block, scope);
  } catch (const Fault &fault) {
    return located(syntax->where, evaluator.position(), fault.message);
  }
}

Result<std::string> Template::render(const Json &variables) const {
  const std::time_t seconds = std::time(nullptr);
  std::tm now = {};
  localtime_r(&seconds, &now);
  return render(variables, now);
}

} // namespace linnet::chat
