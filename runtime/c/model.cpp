// Versions, messages, devices, models and tokenizers of linnet/c.h.
#include "linnet/version.h"
#include "runtime/c/handles.h"
#include "runtime/vulkan/vulkan_device.h"

namespace linnet::c {

static thread_local std::string last_message;
static thread_local bool message_lost = false; // there was no memory for it

linnet_status fail(linnet_status status, std::string_view message) noexcept {
  try {
    last_message = message;
    message_lost = false;
  } catch (...) {
    message_lost = true;
  }
  return status;
}

std::vector<const char *> pointers(const std::vector<std::string> &texts) {
  std::vector<const char *> list;
  for (const std::string &text : texts) list.push_back(text.c_str());
  return list;
}

LoadOptions readLoadOptions(const linnet_load_options *given) {
  linnet_load_options options = {};
  readOptions(given, options, "options");
  return {.device = options.device ? options.device : "", .threads = options.threads};
}

void writeMemory(linnet_memory_use *out, const MemoryUse &memory) {
  writeStruct(out,
              {.struct_size = 0,
               .weights = memory.weights,
               .states = memory.states,
               .arena = memory.arena,
               .io = memory.io,
               .scratch = memory.scratch,
               .total = memory.total()},
              "memory");
}

static const Tokenizer &tokenizerOf(const linnet_model *model) {
  const Model &loaded = required(model, "model").model;
  if (!loaded.tokenizer())
    throw std::runtime_error(loaded.path() +
                             ": the model has no tokenizer: expected token ids, found a text");
  return *loaded.tokenizer();
}

static std::vector<FoundDevice> findDevices() {
  std::vector<FoundDevice> devices = {{"cpu", "cpu", "", DeviceKind::Processor, true}};
  auto listed = vulkan::listDevices();
  if (!listed) {
    devices.push_back({.device = "vulkan",
                       .name = "vulkan",
                       .refusal = listed.error().message,
                       .kind = DeviceKind::Gpu,
                       .is_default = false});
    return devices;
  }
  for (size_t i = 0; i < listed->size(); ++i) {
    const vulkan::ListedDevice &one = (*listed)[i];
    const bool cpu = one.inventory.kind == vulkan::Kind::cpu;
    devices.push_back({.device = fmt::format("vulkan:{}", i),
                       .name = one.inventory.name,
                       .refusal = one.refusal,
                       .kind = cpu ? DeviceKind::Driver : DeviceKind::Gpu,
                       .is_default = one.chosen});
  }
  return devices;
}

static Result<linnet_model *> loadModel(const char *path, const linnet_load_options *options) {
  LINNET_ASSIGN(Model model, Model::load(&required(path, "path"), readLoadOptions(options)));
  auto handle = std::make_unique<linnet_model>(std::move(model));
  handle->device = handle->model.device();
  handle->targets = handle->model.targets();
  handle->label_pointers = pointers(handle->model.config().labels);
  handle->target_pointers = pointers(handle->targets);
  return handle.release();
}

static linnet_model_info infoOf(const linnet_model &handle) {
  const Model &model = handle.model;
  const ModelConfig &config = model.config();
  return {.struct_size = 0,
          .path = model.path().c_str(),
          .config_json = model.configJson().c_str(),
          .device = handle.device.c_str(),
          .n_layer = config.n_layer,
          .n_head = config.n_head,
          .n_embd = config.n_embd,
          .vocab_size = config.vocab_size,
          .n_positions = config.n_positions,
          .context = config.context,
          .max_batch = config.max_batch,
          .eos_ids = config.eos_ids.data(),
          .eos_id_count = config.eos_ids.size(),
          .labels = handle.label_pointers.data(),
          .label_count = handle.label_pointers.size(),
          .targets = handle.target_pointers.data(),
          .target_count = handle.target_pointers.size(),
          .bos_id = config.bos_id.value_or(-1),
          .pad_id = config.pad_id.value_or(-1),
          .problem_type = static_cast<int32_t>(config.problem_type),
          .device_kind = static_cast<int32_t>(model.deviceKind()),
          .has_tokenizer = model.tokenizer().has_value(),
          .reserved = 0};
}

} // namespace linnet::c

using namespace linnet;
using namespace linnet::c;

static_assert(static_cast<int>(DeviceKind::Gpu) == LINNET_GPU);
static_assert(static_cast<int>(DeviceKind::Driver) == LINNET_DRIVER);
static_assert(static_cast<int>(ProblemType::MultiLabel) == LINNET_MULTI_LABEL);
static_assert(static_cast<int>(ProblemType::Regression) == LINNET_REGRESSION);

const char *linnet_error_message() { return message_lost ? "memory is insufficient" : last_message.c_str(); }
uint32_t linnet_c_abi() { return LINNET_C_ABI; }
const char *linnet_version() { return linnet::version(); }
uint32_t linnet_artifact_format() { return artifactFormatVersion(); }

linnet_status linnet_devices(linnet_result **result) {
  return producing(result, [] { return Result(findDevices()); });
}

linnet_status linnet_model_load(const char *path, const linnet_load_options *options, linnet_model **model) {
  return guarded([&]() -> Result<void> {
    required(model, "model") = nullptr;
    LINNET_ASSIGN(*model, loadModel(path, options));
    return {};
  });
}

linnet_status linnet_model_get_info(const linnet_model *model, linnet_model_info *info) {
  return guarded([&]() -> Result<void> {
    writeStruct(info, infoOf(required(model, "model")), "info");
    return {};
  });
}

linnet_status linnet_model_memory(const linnet_model *model, linnet_memory_use *memory) {
  return guarded([&]() -> Result<void> {
    writeMemory(memory, required(model, "model").model.memory());
    return {};
  });
}

void linnet_model_free(linnet_model *model) { delete model; }

linnet_status linnet_model_generation(const linnet_model *model, linnet_generate_options *options) {
  return guarded([&]() -> Result<void> {
    writeStruct(options, asStruct(required(model, "model").model.generation()), "options");
    return {};
  });
}

linnet_status linnet_encode(const linnet_model *model, const char *text, size_t size,
                            const linnet_encode_options *options, linnet_result **result) {
  return producing(result, [&]() -> Result<std::vector<TokenId>> {
    const Tokenizer &tokenizer = tokenizerOf(model);
    const auto bytes = array(text, size, "text");
    linnet_encode_options given = {};
    readOptions(options, given, "options");
    EncodeOptions encode;
    encode.parse_special = !given.special_as_text;
    encode.add_special_tokens = !given.omit_special_tokens;
    if (given.max_length < 0) return errorf("max_length: expected 0 or more, found {}", given.max_length);
    encode.truncation = given.max_length > 0;
    if (encode.truncation) encode.max_length = static_cast<size_t>(given.max_length);
    LINNET_ASSIGN(Encoding encoding, tokenizer.encode({bytes.data(), bytes.size()}, encode));
    return std::move(encoding.ids);
  });
}

linnet_status linnet_decode(const linnet_model *model, const int32_t *ids, size_t count, int32_t skip_special,
                            linnet_result **result) {
  return producing(result,
                   [&] { return tokenizerOf(model).decode(array(ids, count, "ids"), skip_special != 0); });
}
