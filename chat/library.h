// The filters, tests, methods and functions that templates can use.
#pragma once
#include "chat/value.h"

#include <string_view>
#include <utility>
#include <vector>

namespace linnet::chat {

struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string_view, Value>> named;
};

class Evaluator;

bool isFilter(std::string_view name);
bool isTest(std::string_view name);
/// Whether a string, list, dict or loop has a method of that name, or Python's has and the sandbox refuses it.
bool isMethod(std::string_view name);
bool isFunction(std::string_view name);

Value applyFilter(Evaluator &evaluator, std::string_view name, Value input, const Arguments &arguments);
bool applyTest(Evaluator &evaluator, std::string_view name, Value input, const Arguments &arguments);
/// Whether the value's type has a method of that name.
bool hasMethod(Value value, std::string_view name);
Value callMethod(Evaluator &evaluator, Value object, std::string_view name, const Arguments &arguments);
Value callFunction(Evaluator &evaluator, std::string_view name, const Arguments &arguments);

} // namespace linnet::chat
