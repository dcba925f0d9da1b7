// Errors as values: a Result holds a T or an Error. Its message states what was expected, what was found, and
// where.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace linnet {

/// The reason for a failure. `message` is one line for users.
struct Error {
  std::string message;
};

/// Thrown if the value of a failed Result is accessed. what() is the Error's message.
class BadResult : public std::logic_error {
public:
  using std::logic_error::logic_error;
};

/// Without exceptions: prints the message and ends the process.
[[noreturn]] inline void throwBadResult(const std::string &message) {
#if defined(__cpp_exceptions)
  throw BadResult(message);
#else
  std::fprintf(stderr, "linnet: %s\n", message.c_str());
  std::abort();
#endif
}

inline constexpr const char *kNoError = "error() of a Result that succeeded";

/// A value or an error.
///
///   Result<Model> model = Model::load(path);
///   if (!model) return model.error();
///   use(*model);
///
/// Accessing the value of a failure throws BadResult with the Error's message.
template <class T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}
  /// Failures of other Result types convert through their Error.
  explicit operator bool() const { return state.index() == 0; }
  bool ok() const { return state.index() == 0; }
  T &operator*() & { return const_cast<T &>(*require()); }
  const T &operator*() const & { return *require(); }
  T &&operator*() && { return std::move(**this); }
  T *operator->() { return &**this; }
  const T *operator->() const { return require(); }
  const Error &error() const {
    const Error *error = std::get_if<1>(&state);
    if (!error) throwBadResult(kNoError);
    return *error;
  }

private:
  const T *require() const {
    const T *value = std::get_if<0>(&state);
    if (!value) throwBadResult(error().message);
    return value;
  }
  std::variant<T, Error> state;
};

/// A success without a value, or an error.
template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : failure(std::move(error)) {}
  explicit operator bool() const { return !failure; }
  bool ok() const { return !failure; }
  const Error &error() const {
    if (!failure) throwBadResult(kNoError);
    return *failure;
  }

private:
  std::optional<Error> failure;
};

} // namespace linnet

/// `LINNET_TRY(expr)`: returns expr's Error from the function if it failed.
#define LINNET_TRY(expr)                                                                                     \
  do {                                                                                                       \
    if (auto linnet_result_ = (expr); !linnet_result_) return linnet_result_.error();                        \
  } while (0)
#define LINNET_CONCAT_(a, b) a##b
#define LINNET_CONCAT(a, b) LINNET_CONCAT_(a, b)
/// `LINNET_ASSIGN(auto x, expr)`: x = *expr, or returns the Error from the function.
#define LINNET_ASSIGN(decl, expr) LINNET_ASSIGN_(decl, expr, LINNET_CONCAT(linnet_result_, __LINE__))
#define LINNET_ASSIGN_(decl, expr, tmp)                                                                      \
  auto tmp = (expr);                                                                                         \
  if (!tmp) return tmp.error();                                                                              \
  decl = std::move(*tmp)
