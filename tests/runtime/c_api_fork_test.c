/* Forks of sessions and callbacks for logits through linnet/c.h. */
#include "tests/runtime/c_api.h"
#include "tests/runtime/c_check.h"
#include "tests/runtime/c_toy.h"

#include <math.h>

/* Generates `count` tokens after `prompt_size` tokens of kPrompt, into `ids`. */
static void generate(linnet_session *session, size_t prompt_size, int64_t count, int32_t *ids) {
  linnet_generate_options options = defaults();
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, generation);
  options.max_new_tokens = count;
  options.ignore_eos = 1;
  SUCCEEDS(linnet_session_generate(session, kPrompt, prompt_size, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.id_count == (size_t)count);
  memcpy(ids, generation.ids, generation.id_count * sizeof *ids);
  linnet_result_free(result);
}

int testFork(const char *path) {
  linnet_model *model = load(path);
  linnet_session *session = open(model), *fork = NULL;
  int32_t whole[8], first[4], of_fork[4], of_session[4], after_rewind[6];
  generate(session, kPromptSize, 8, whole);
  SUCCEEDS(linnet_session_reset(session));
  generate(session, kPromptSize, 4, first);
  SUCCEEDS(linnet_session_fork(session, &fork));
  generate(fork, 2, 4, of_fork); /* another turn */
  generate(session, 0, 4, of_session);
  CHECK(memcmp(of_session, whole + 4, sizeof of_session) == 0);
  int64_t position = 0;
  SUCCEEDS(linnet_session_position(fork, &position));
  CHECK(position == kPromptSize + 4 + 2 + 4);
  SUCCEEDS(linnet_session_rewind(fork, kPromptSize + 2));
  linnet_session_free(session);
  linnet_model_free(model);
  generate(fork, 0, 6, after_rewind);
  CHECK(memcmp(after_rewind, whole + 2, sizeof after_rewind) == 0);
  linnet_session *none = fork;
  BAD("session: ", linnet_session_fork(NULL, &none));
  CHECK(none == NULL);
  linnet_session_free(fork);
  model = load(path);
  session = open(model);
  BAD("fork: ", linnet_session_fork(session, NULL));
  linnet_session_free(session);
  linnet_model_free(model);
  return takeFailures();
}

struct Processor {
  size_t calls, end_after, id_count;
  int64_t sequence;
  int32_t wanted;
  float value;
};

static int32_t onLogits(void *user, int64_t sequence, const int32_t *ids, size_t id_count, float *logits,
                        size_t logit_count) {
  struct Processor *processor = user;
  CHECK(logit_count == kVocabulary);
  CHECK(id_count >= kPromptSize && memcmp(ids, kPrompt, sizeof kPrompt) == 0);
  processor->sequence = sequence;
  processor->id_count = id_count;
  logits[processor->wanted] = processor->value;
  return ++processor->calls == processor->end_after;
}

/* Excludes the tokens of a list. */
static int32_t exclude(void *user, int64_t sequence, const int32_t *ids, size_t id_count, float *logits,
                       size_t logit_count) {
  const linnet_ids *excluded = user;
  (void)sequence, (void)ids, (void)id_count, (void)logit_count;
  for (size_t i = 0; i < excluded->count; ++i) logits[excluded->ids[i]] = -INFINITY;
  return 0; /* another number ends the text */
}

int testOnLogits(const char *path) {
  linnet_model *model = load(path);
  linnet_session *session = open(model);
  linnet_generate_options options = defaults();
  CHECK(options.on_logits == NULL && options.on_logits_user == NULL);
  int32_t plain[5];
  generate(session, kPromptSize, 5, plain);
  SUCCEEDS(linnet_session_reset(session));
  LINNET_STRUCT(linnet_ids, excluded);
  excluded.ids = plain;
  excluded.count = 5;
  options.max_new_tokens = 5;
  options.on_logits = exclude;
  options.on_logits_user = &excluded;
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, generation);
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.id_count == 5);
  for (size_t i = 0; i < generation.id_count; ++i)
    for (size_t j = 0; j < excluded.count; ++j) CHECK(generation.ids[i] != excluded.ids[j]);
  linnet_result_free(result);
  SUCCEEDS(linnet_session_reset(session));

  struct Processor processor = {0, 0, 0, -1, 42, 1000};
  options.on_logits = onLogits;
  options.on_logits_user = &processor;
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.id_count == 5 && processor.calls == 5 && processor.sequence == 0);
  CHECK(processor.id_count == kPromptSize + 4);
  for (size_t i = 0; i < generation.id_count; ++i) CHECK(generation.ids[i] == 42);
  linnet_result_free(result);

  /* It ends the text before a token. */
  SUCCEEDS(linnet_session_reset(session));
  processor.calls = 0;
  processor.end_after = 3;
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.id_count == 2 && generation.finish_reason == LINNET_FINISH_CANCELLED);
  linnet_result_free(result);

  SUCCEEDS(linnet_session_reset(session));
  processor.end_after = 0;
  processor.value = NAN;
  ERROR("on_logits: token 42: expected a finite number or -inf, found nan",
        linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  CHECK(result == NULL);

  /* A caller of version 1 has a shorter struct: what lies behind it is not read. */
  options.struct_size = offsetof(linnet_generate_options, on_logits);
  processor.calls = 0;
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  CHECK(processor.calls == 0);
  linnet_result_free(result);
  options.struct_size = sizeof options;

  /* In a batch `sequence` is the text's number. */
  linnet_batch *batch = NULL;
  LINNET_STRUCT(linnet_batch_request, request);
  LINNET_STRUCT(linnet_batch_event, event);
  request.prompt = kPrompt;
  request.prompt_count = kPromptSize;
  request.options = &options;
  processor.value = 1000;
  int64_t number = -1;
  size_t events = 0;
  SUCCEEDS(linnet_batch_open(model, NULL, &batch));
  for (int i = 0; i < 2; ++i) SUCCEEDS(linnet_batch_add(batch, &request, &number));
  while (events < 2) SUCCEEDS(linnet_batch_step(batch, &events));
  SUCCEEDS(linnet_batch_get_event(batch, 1, &event));
  CHECK(event.id == 42 && event.number == number && processor.sequence == number);
  linnet_batch_free(batch);
  linnet_session_free(session);
  linnet_model_free(model);
  return takeFailures();
}
