/* Versions, NULL arguments, models and tokenizers through linnet/c.h. */
#include "tests/runtime/c_api.h"
#include "tests/runtime/c_check.h"
#include "tests/runtime/c_toy.h"

int testVersions(void) {
  CHECK(linnet_c_abi() == LINNET_C_ABI);
  CHECK(strcmp(linnet_version(), "0.1.0") == 0);
  CHECK(linnet_artifact_format() == 1);
  return takeFailures();
}

/* Every function, with NULL for each pointer that it needs. */
int testNullArguments(void) {
  linnet_result *result = (linnet_result *)&result;
  linnet_model *model = (linnet_model *)&model;
  linnet_session *session = (linnet_session *)&session;
  linnet_batch *batch = (linnet_batch *)&batch;
  LINNET_STRUCT(linnet_model_info, info);
  LINNET_STRUCT(linnet_memory_use, memory);
  LINNET_STRUCT(linnet_generate_options, options);
  LINNET_STRUCT(linnet_perplexity, perplexity);
  LINNET_STRUCT(linnet_batch_event, event);
  LINNET_STRUCT(linnet_batch_counts, counts);
  LINNET_STRUCT(linnet_batch_request, request);
  size_t count = 0;
  int64_t number = 0;

  linnet_model_free(NULL);
  linnet_session_free(NULL);
  linnet_batch_free(NULL);
  linnet_graph_free(NULL);
  linnet_result_free(NULL);

  BAD("result: expected a pointer, found NULL", linnet_devices(NULL));
  BAD("result: ", linnet_result_count(NULL, &count));
  BAD("result: ", linnet_result_ids(NULL, 0, NULL));
  BAD("result: ", linnet_result_text(NULL, 0, NULL));
  BAD("result: ", linnet_result_matrix(NULL, 0, NULL));
  BAD("result: ", linnet_result_generation(NULL, 0, NULL));
  BAD("result: ", linnet_result_classification(NULL, 0, NULL));
  BAD("result: ", linnet_result_tensor(NULL, 0, NULL));
  BAD("result: ", linnet_result_device(NULL, 0, NULL));

  BAD("model: ", linnet_model_load("x", NULL, NULL));
  BAD("path: ", linnet_model_load(NULL, NULL, &model));
  CHECK(model == NULL);
  BAD("model: ", linnet_model_get_info(NULL, &info));
  BAD("model: ", linnet_model_memory(NULL, &memory));
  BAD("model: ", linnet_model_generation(NULL, &options));
  BAD("options: ", linnet_generate_options_init(NULL, sizeof options));
  BAD("result: ", linnet_encode(NULL, "a", 1, NULL, NULL));
  BAD("model: ", linnet_encode(NULL, "a", 1, NULL, &result));
  CHECK(result == NULL);
  BAD("result: ", linnet_decode(NULL, kPrompt, 1, 0, NULL));
  BAD("model: ", linnet_decode(NULL, kPrompt, 1, 0, &result));

  BAD("session: ", linnet_session_open(NULL, NULL));
  BAD("model: ", linnet_session_open(NULL, &session));
  CHECK(session == NULL);
  BAD("result: ", linnet_session_generate(NULL, kPrompt, 3, NULL, NULL, NULL, NULL));
  BAD("session: ", linnet_session_generate(NULL, kPrompt, 3, NULL, NULL, NULL, &result));
  BAD("session: ", linnet_session_generate_batch(NULL, NULL, NULL, 0, NULL, NULL, NULL, &result));
  BAD("session: ", linnet_session_logits(NULL, kPrompt, 3, 0, &result));
  BAD("session: ", linnet_session_embed(NULL, kPrompt, 3, LINNET_POOL_LAST, -1, &result));
  BAD("session: ", linnet_session_hidden_states(NULL, kPrompt, 3, -1, &result));
  BAD("session: ", linnet_session_classify(NULL, NULL, NULL, 0, NULL, NULL, &result));
  BAD("session: ", linnet_session_perplexity(NULL, kPrompt, 3, 0, &perplexity));
  BAD("perplexity: ", linnet_session_perplexity(NULL, kPrompt, 3, 0, NULL));
  CHECK(linnet_session_cancel(NULL) == LINNET_BAD_ARGUMENT);
  BAD("session: ", linnet_session_reset(NULL));
  BAD("session: ", linnet_session_rewind(NULL, 0));
  BAD("session: ", linnet_session_position(NULL, &number));
  BAD("session: ", linnet_session_memory(NULL, &memory));

  BAD("batch: ", linnet_batch_open(NULL, NULL, NULL));
  BAD("model: ", linnet_batch_open(NULL, NULL, &batch));
  CHECK(batch == NULL);
  BAD("number: ", linnet_batch_add(NULL, &request, NULL));
  BAD("batch: ", linnet_batch_add(NULL, &request, &number));
  BAD("batch: ", linnet_batch_remove(NULL, 0));
  BAD("events: ", linnet_batch_step(NULL, NULL));
  BAD("batch: ", linnet_batch_step(NULL, &count));
  BAD("batch: ", linnet_batch_get_event(NULL, 0, &event));
  BAD("batch: ", linnet_batch_get_counts(NULL, &counts));
  BAD("batch: ", linnet_batch_memory(NULL, &memory));
  return takeFailures();
}

int testDevices(void) {
  linnet_result *result = NULL;
  size_t count = 0;
  SUCCEEDS(linnet_devices(&result));
  SUCCEEDS(linnet_result_count(result, &count));
  CHECK(count >= 1);
  for (size_t i = 0; i < count; ++i) {
    LINNET_STRUCT(linnet_device, device);
    SUCCEEDS(linnet_result_device(result, i, &device));
    CHECK(strncmp(device.device, i == 0 ? "cpu" : "vulkan", i == 0 ? 4 : 6) == 0);
    CHECK(device.name[0] != '\0' && device.refusal != NULL);
    CHECK(i > 0 || (device.kind == LINNET_PROCESSOR && device.is_default));
  }
  LINNET_STRUCT(linnet_device, none);
  BAD("index: expected an index below", linnet_result_device(result, count, &none));
  linnet_result_free(result);
  return takeFailures();
}

int testNoLoader(const char *reason) {
  linnet_result *result = NULL;
  size_t count = 0;
  SUCCEEDS(linnet_devices(&result));
  SUCCEEDS(linnet_result_count(result, &count));
  CHECK(count == 2);
  LINNET_STRUCT(linnet_device, vulkan);
  SUCCEEDS(linnet_result_device(result, 1, &vulkan));
  CHECK(strcmp(vulkan.device, "vulkan") == 0 && vulkan.is_default == 0);
  CHECK(strncmp(vulkan.refusal, reason, strlen(reason)) == 0);
  linnet_result_free(result);
  return takeFailures();
}

int testModel(const char *path, const char *classifier, const char *without_tokenizer) {
  linnet_model *model = load(path);
  LINNET_STRUCT(linnet_model_info, info);
  SUCCEEDS(linnet_model_get_info(model, &info));
  CHECK(strcmp(info.path, path) == 0);
  CHECK(strstr(info.config_json, "\"n_embd\"") != NULL);
  CHECK(info.device[0] != '\0');
  CHECK(info.n_layer == 2 && info.n_head == 1 && info.n_embd == kWidth && info.vocab_size == kVocabulary);
  CHECK(info.n_positions == kContext && info.context == kContext && info.max_batch == 4);
  CHECK(info.eos_id_count == 1 && info.eos_ids[0] == 256);
  CHECK(info.label_count == 0 && info.target_count == 1 && strcmp(info.targets[0], "fake") == 0);
  CHECK(info.bos_id == -1 && info.pad_id == -1 && info.has_tokenizer == 1);
  CHECK(info.device_kind >= LINNET_PROCESSOR && info.device_kind <= LINNET_GPU);
  LINNET_STRUCT(linnet_memory_use, memory);
  SUCCEEDS(linnet_model_memory(model, &memory));
  CHECK(memory.states == 4 * kContext * 4 && memory.total >= memory.states);
  linnet_generate_options options = defaults();
  options.max_new_tokens = -1;
  SUCCEEDS(linnet_model_generation(model, &options));
  CHECK(options.max_new_tokens == 128 && options.top_k == 50 && options.temperature == 1.0f);
  linnet_model_free(model);

  model = load(classifier);
  SUCCEEDS(linnet_model_get_info(model, &info));
  CHECK(info.label_count == 3 && strcmp(info.labels[1], "ham") == 0 &&
        info.problem_type == LINNET_SINGLE_LABEL);
  linnet_model_free(model);
  model = load(without_tokenizer);
  SUCCEEDS(linnet_model_get_info(model, &info));
  CHECK(info.has_tokenizer == 0);
  linnet_model_free(model);

  LINNET_STRUCT(linnet_load_options, load_options);
  load_options.device = "fake";
  load_options.threads = 1;
  SUCCEEDS(linnet_model_load(path, &load_options, &model));
  linnet_model_free(model);
  load_options.device = "nothing";
  ERROR("nothing", linnet_model_load(path, &load_options, &model));
  CHECK(model == NULL);
  ERROR("/nonexistent: cannot open", linnet_model_load("/nonexistent", NULL, &model));
  return takeFailures();
}

int testStructSizes(const char *path) {
  linnet_model *model = load(path);
  /* An older caller, whose struct ends early. */
  struct {
    linnet_model_info info;
    char behind[16];
  } bytes;
  memset(&bytes, 0x5a, sizeof bytes);
  bytes.info.struct_size = offsetof(linnet_model_info, config_json);
  SUCCEEDS(linnet_model_get_info(model, &bytes.info));
  CHECK(strcmp(bytes.info.path, path) == 0);
  CHECK(((unsigned char *)&bytes)[offsetof(linnet_model_info, config_json)] == 0x5a);
  /* A newer caller: fields that the library does not know are zero. */
  bytes.info.struct_size = sizeof bytes;
  SUCCEEDS(linnet_model_get_info(model, &bytes.info));
  CHECK(bytes.info.struct_size == sizeof bytes && bytes.info.n_layer == 2);
  for (size_t i = 0; i < sizeof bytes.behind; ++i) CHECK(bytes.behind[i] == 0);

  LINNET_STRUCT(linnet_load_options, reserved);
  reserved.reserved = 1;
  linnet_model *refused = NULL;
  BAD("options: expected 0 in reserved, found 1", linnet_model_load("x.linnet", &reserved, &refused));
  bytes.info.struct_size = 0;
  BAD("info: expected struct_size to be the struct's size, found 0",
      linnet_model_get_info(model, &bytes.info));
  bytes.info.struct_size = 1 << 20;
  BAD("info: expected struct_size", linnet_model_get_info(model, &bytes.info));

  struct {
    linnet_generate_options options;
    int64_t later;
  } newer;
  memset(&newer, 0, sizeof newer);
  SUCCEEDS(linnet_generate_options_init(&newer.options, sizeof newer));
  CHECK(newer.options.struct_size == sizeof newer && newer.options.top_k == 50);
  newer.options.max_new_tokens = 2;
  linnet_session *session = open(model);
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, generation);
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &newer.options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.id_count == 2);
  linnet_result_free(result);
  newer.later = 1;
  BAD("options: has an option at byte",
      linnet_session_generate(session, kPrompt, kPromptSize, &newer.options, NULL, NULL, &result));
  CHECK(result == NULL);
  /* Only max_new_tokens: the rest has its defaults. */
  newer.options.struct_size = offsetof(linnet_generate_options, top_k);
  newer.options.top_k = -77;
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &newer.options, NULL, NULL, &result));
  linnet_result_free(result);
  BAD("options: expected struct_size", linnet_generate_options_init(&newer.options, 3));
  linnet_session_free(session);
  linnet_model_free(model);
  return takeFailures();
}

int testTokenizer(const char *path, const char *without_tokenizer) {
  static const char kText[] = "Hi \0 <|endoftext|>";
  linnet_model *model = load(path);
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_ids, ids);
  LINNET_STRUCT(linnet_text, text);
  SUCCEEDS(linnet_encode(model, kText, sizeof kText - 1, NULL, &result));
  SUCCEEDS(linnet_result_ids(result, 0, &ids));
  CHECK(ids.count == 6 && ids.ids[0] == 'H' && ids.ids[3] == 0 && ids.ids[5] == 256);
  BAD("result: expected texts, found ids", linnet_result_text(result, 0, &text));
  BAD("result: expected matrices, found ids", linnet_result_matrix(result, 0, NULL));
  BAD("index: expected an index below 1, found 1", linnet_result_ids(result, 1, &ids));
  BAD("ids: expected a pointer, found NULL", linnet_result_ids(result, 0, NULL));
  BAD("count: ", linnet_result_count(result, NULL));
  linnet_result *decoded = NULL;
  SUCCEEDS(linnet_decode(model, ids.ids, ids.count, 0, &decoded));
  SUCCEEDS(linnet_result_text(decoded, 0, &text));
  CHECK(text.size == sizeof kText - 1 && memcmp(text.bytes, kText, sizeof kText) == 0);
  linnet_result_free(decoded);
  SUCCEEDS(linnet_decode(model, ids.ids, ids.count, 1, &decoded));
  SUCCEEDS(linnet_result_text(decoded, 0, &text));
  CHECK(text.size == 5);
  linnet_result_free(decoded);
  linnet_result_free(result);

  LINNET_STRUCT(linnet_encode_options, options);
  options.special_as_text = 1;
  options.omit_special_tokens = 1;
  SUCCEEDS(linnet_encode(model, kText, sizeof kText - 1, &options, &result));
  SUCCEEDS(linnet_result_ids(result, 0, &ids));
  CHECK(ids.count == sizeof kText - 1);
  linnet_result_free(result);
  options.max_length = 4;
  SUCCEEDS(linnet_encode(model, kText, sizeof kText - 1, &options, &result));
  SUCCEEDS(linnet_result_ids(result, 0, &ids));
  CHECK(ids.count == 4);
  linnet_result_free(result);
  SUCCEEDS(linnet_encode(model, NULL, 0, NULL, &result));
  SUCCEEDS(linnet_result_ids(result, 0, &ids));
  CHECK(ids.count == 0);
  linnet_result_free(result);
  options.max_length = -1;
  ERROR("max_length: expected 0 or more, found -1", linnet_encode(model, kText, 1, &options, &result));
  CHECK(result == NULL);
  BAD("text: ", linnet_encode(model, NULL, 1, NULL, &result));
  BAD("ids: ", linnet_decode(model, NULL, 1, 0, &result));
  static const int32_t kOutside = 299;
  ERROR("299", linnet_decode(model, &kOutside, 1, 0, &result));
  linnet_model_free(model);
  model = load(without_tokenizer);
  ERROR("the model has no tokenizer", linnet_encode(model, "a", 1, NULL, &result));
  ERROR("the model has no tokenizer", linnet_decode(model, kPrompt, 1, 0, &result));
  linnet_model_free(model);
  return takeFailures();
}
