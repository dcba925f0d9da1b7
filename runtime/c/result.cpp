// Results of linnet/c.h.
#include "runtime/c/handles.h"

namespace linnet::c {

/// Item `index` of a result whose items are of type T.
template <class T> static const T &itemOf(const linnet_result *result, size_t index, const char *expected) {
  const auto *items = std::get_if<std::vector<T>>(&required(result, "result").items);
  static constexpr const char *kKinds[] = {"ids",     "texts",  "matrices", "generations", "classifications",
                                           "tensors", "devices"};
  if (!items)
    throw BadArgument{fmt::format("result: expected {}, found {}", expected,
                                  kKinds[required(result, "result").items.index()])};
  return element(*items, index, "index");
}

static linnet_generation asStruct(const GenerateResult &item) {
  return {.struct_size = 0,
          .prompt_ids = item.prompt.data(),
          .prompt_id_count = item.prompt.size(),
          .ids = item.ids.data(),
          .id_count = item.ids.size(),
          .text = item.text.c_str(),
          .text_size = item.text.size(),
          .finish_reason = static_cast<int32_t>(item.finish_reason) + LINNET_FINISH_LENGTH,
          .reserved = 0,
          .prompt_tokens = item.timings.prompt_tokens,
          .generated_tokens = item.timings.generated_tokens,
          .prompt_seconds = item.timings.prompt_seconds,
          .generate_seconds = item.timings.generate_seconds};
}

} // namespace linnet::c

using namespace linnet;
using namespace linnet::c;

static_assert(static_cast<int>(FinishReason::Length) + LINNET_FINISH_LENGTH == LINNET_FINISH_LENGTH);
static_assert(static_cast<int>(FinishReason::Context) + LINNET_FINISH_LENGTH == LINNET_FINISH_CONTEXT);

linnet_status linnet_result_count(const linnet_result *result, size_t *count) {
  return guarded([&]() -> Result<void> {
    required(count, "count") =
        std::visit([](const auto &items) { return items.size(); }, required(result, "result").items);
    return {};
  });
}

linnet_status linnet_result_ids(const linnet_result *result, size_t index, linnet_ids *ids) {
  return guarded([&]() -> Result<void> {
    const auto &item = itemOf<std::vector<TokenId>>(result, index, "ids");
    writeStruct(ids, {.struct_size = 0, .ids = item.data(), .count = item.size()}, "ids");
    return {};
  });
}

linnet_status linnet_result_text(const linnet_result *result, size_t index, linnet_text *text) {
  return guarded([&]() -> Result<void> {
    const auto &item = itemOf<std::string>(result, index, "texts");
    writeStruct(text, {.struct_size = 0, .bytes = item.c_str(), .size = item.size()}, "text");
    return {};
  });
}

linnet_status linnet_result_matrix(const linnet_result *result, size_t index, linnet_matrix *matrix) {
  return guarded([&]() -> Result<void> {
    const auto &item = itemOf<Matrix>(result, index, "matrices");
    writeStruct(matrix,
                {.struct_size = 0, .rows = item.rows, .columns = item.columns, .values = item.values.data()},
                "matrix");
    return {};
  });
}

linnet_status linnet_result_generation(const linnet_result *result, size_t index,
                                       linnet_generation *generation) {
  return guarded([&]() -> Result<void> {
    writeStruct(generation, asStruct(itemOf<GenerateResult>(result, index, "generations")), "generation");
    return {};
  });
}

linnet_status linnet_result_classification(const linnet_result *result, size_t index,
                                           linnet_classification *classification) {
  return guarded([&]() -> Result<void> {
    const auto &item = itemOf<Classification>(result, index, "classifications");
    writeStruct(classification,
                {.struct_size = 0,
                 .label = item.label,
                 .scores = item.scores.data(),
                 .probabilities = item.probabilities.data(),
                 .label_count = item.scores.size(),
                 .truncated = item.truncated,
                 .reserved = 0},
                "classification");
    return {};
  });
}

linnet_status linnet_result_tensor(const linnet_result *result, size_t index, linnet_tensor *tensor) {
  return guarded([&]() -> Result<void> {
    const auto &item = itemOf<NamedTensor>(result, index, "tensors");
    writeStruct(tensor,
                {.struct_size = 0,
                 .name = item.name.c_str(),
                 .type = static_cast<int32_t>(item.tensor.type),
                 .rank = static_cast<int32_t>(item.tensor.shape.size()),
                 .shape = item.tensor.shape.data(),
                 .bytes = item.tensor.bytes.data(),
                 .byte_count = item.tensor.bytes.size()},
                "tensor");
    return {};
  });
}

linnet_status linnet_result_device(const linnet_result *result, size_t index, linnet_device *device) {
  return guarded([&]() -> Result<void> {
    const auto &item = itemOf<FoundDevice>(result, index, "devices");
    writeStruct(device,
                {.struct_size = 0,
                 .device = item.device.c_str(),
                 .name = item.name.c_str(),
                 .refusal = item.refusal.c_str(),
                 .kind = static_cast<int32_t>(item.kind),
                 .is_default = item.is_default},
                "device");
    return {};
  });
}

void linnet_result_free(linnet_result *result) { delete result; }
