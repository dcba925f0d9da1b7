// Shared by the functions of linnet/c.h: handles, the error message of a thread, structs of other sizes.
#pragma once
#include "linnet/batch.h"
#include "linnet/c.h"
#include "linnet/graph.h"
#include "linnet/model.h"
#include "linnet/session.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace linnet::c {

/// A device of this machine, as linnet_devices lists it.
struct FoundDevice {
  std::string device, name, refusal;
  DeviceKind kind = DeviceKind::Processor;
  bool is_default = false;
};

/// Sets the thread's message and returns `status`.
linnet_status fail(linnet_status status, std::string_view message) noexcept;

/// A status as an exception, within one function of the interface.
struct BadArgument {
  std::string message;
};

/// Calls `body`, which returns a Result<void>. No exception leaves it.
template <class Body> linnet_status guarded(const Body &body) noexcept {
  try {
    Result<void> done = body();
    return done ? LINNET_OK : fail(LINNET_ERROR, done.error().message);
  } catch (const BadArgument &bad) {
    return fail(LINNET_BAD_ARGUMENT, bad.message);
  } catch (const std::bad_alloc &) {
    return fail(LINNET_ERROR, "memory is insufficient");
  } catch (const std::exception &error) {
    return fail(LINNET_ERROR, error.what());
  } catch (...) {
    return fail(LINNET_ERROR, "unknown exception");
  }
}

/// *pointer; NULL is an error that names the argument.
template <class T> T &required(T *pointer, const char *name) {
  if (!pointer) throw BadArgument{fmt::format("{}: expected a pointer, found NULL", name)};
  return *pointer;
}

/// `count` elements; NULL is allowed for none.
template <class T> std::span<const T> array(const T *data, size_t count, const char *name) {
  if (count > 0) required(data, name);
  return {data, count};
}

/// One of several; `index` is checked.
template <class List> auto &element(List &list, size_t index, const char *name) {
  if (index >= list.size())
    throw BadArgument{fmt::format("{}: expected an index below {}, found {}", name, list.size(), index)};
  return list[index];
}

/// The caller's struct_size. Larger sizes than any struct will have are taken for memory that was not initialized.
template <class T> size_t callersSize(const T &value, const char *name) {
  constexpr size_t kLargest = 4096;
  if (value.struct_size < sizeof(size_t) || value.struct_size > kLargest)
    throw BadArgument{
        fmt::format("{}: expected struct_size to be the struct's size, found {}", name, value.struct_size)};
  return value.struct_size;
}

/// Copies the caller's options over the defaults in `value`. NULL leaves the defaults.
template <class T> void readOptions(const T *given, T &value, const char *name) {
  if (!given) return;
  const size_t size = callersSize(*given, name);
  std::memcpy(&value, given, std::min(size, sizeof value));
  if constexpr (requires { value.reserved; })
    if (value.reserved != 0)
      throw BadArgument{fmt::format("{}: expected 0 in reserved, found {}", name, value.reserved)};
  const auto *bytes = reinterpret_cast<const unsigned char *>(given);
  for (size_t i = sizeof value; i < size; ++i)
    if (bytes[i] != 0)
      throw BadArgument{fmt::format(
          "{}: has an option at byte {} that this library does not know: expected at most {} bytes", name, i,
          sizeof value)};
}

/// Copies `value` into the caller's struct.
template <class T> void writeStruct(T *out, T value, const char *name) {
  const size_t size = callersSize(required(out, name), name);
  value.struct_size = size;
  std::memcpy(out, &value, std::min(size, sizeof value));
  if (size > sizeof value) std::memset(reinterpret_cast<char *>(out) + sizeof value, 0, size - sizeof value);
}

std::vector<const char *> pointers(const std::vector<std::string> &texts);
LoadOptions readLoadOptions(const linnet_load_options *given);
GenerateOptions readGenerateOptions(const linnet_generate_options *given);
/// Without the lists, which the struct only points to.
linnet_generate_options asStruct(const GenerateOptions &options);
void writeMemory(linnet_memory_use *out, const MemoryUse &memory);
/// Errors call the first argument `name`.
std::vector<std::vector<TokenId>> readTexts(const int32_t *const *texts, const size_t *counts, size_t count,
                                            const char *name);

using Items = std::variant<std::vector<std::vector<TokenId>>, std::vector<std::string>, std::vector<Matrix>,
                           std::vector<GenerateResult>, std::vector<Classification>, std::vector<NamedTensor>,
                           std::vector<FoundDevice>>;

/// Runs `body`, which returns a Result of one item or of a vector of items, and stores it in *result.
template <class Body> linnet_status producing(linnet_result **result, const Body &body) noexcept;

} // namespace linnet::c

struct linnet_result {
  linnet::c::Items items;
};

struct linnet_model {
  linnet::Model model;
  std::string device;
  std::vector<std::string> targets;
  std::vector<const char *> label_pointers, target_pointers;
};

struct linnet_session {
  linnet::Session session;
};

namespace linnet::c {

template <class T> std::vector<T> asItems(std::vector<T> items) { return items; }
inline std::vector<std::vector<TokenId>> asItems(std::vector<TokenId> ids) {
  std::vector<std::vector<TokenId>> items;
  items.push_back(std::move(ids));
  return items;
}
template <class T> std::vector<T> asItems(T item) {
  std::vector<T> items;
  items.push_back(std::move(item));
  return items;
}

template <class Body> linnet_status producing(linnet_result **result, const Body &body) noexcept {
  return guarded([&]() -> Result<void> {
    required(result, "result") = nullptr;
    LINNET_ASSIGN(auto value, body());
    *result = new linnet_result{Items(asItems(std::move(value)))};
    return {};
  });
}

} // namespace linnet::c
