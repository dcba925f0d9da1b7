/* Sessions and batches through linnet/c.h. */
#include "tests/runtime/c_api.h"
#include "tests/runtime/c_check.h"
#include "tests/runtime/c_toy.h"

#include <math.h>
#include <stdlib.h>

struct Stream {
  linnet_session *session;
  char text[256];
  size_t size, calls, end_after;
  int cancels;
  int64_t largest_sequence;
};

static int32_t onToken(void *user, int64_t sequence, int32_t id, const char *text, size_t size) {
  struct Stream *stream = user;
  (void)id;
  CHECK(text[size] == '\0');
  if (stream->size + size < sizeof stream->text)
    memcpy(stream->text + stream->size, text, size), stream->size += size;
  if (sequence > stream->largest_sequence) stream->largest_sequence = sequence;
  ++stream->calls;
  if (stream->cancels) SUCCEEDS(linnet_session_cancel(stream->session));
  return stream->end_after > 0 && stream->calls >= stream->end_after;
}

int testGenerate(const char *path) {
  linnet_model *model = load(path);
  linnet_session *session = open(model), *other = open(model);
  linnet_model_free(model); /* the sessions keep it */
  linnet_generate_options options = defaults();
  options.max_new_tokens = 8;
  linnet_result *result = NULL, *again = NULL;
  LINNET_STRUCT(linnet_generation, all);
  LINNET_STRUCT(linnet_generation, part);
  struct Stream stream = {session, "", 0, 0, 0, 0, 0};
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, onToken, &stream, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &all));
  CHECK(all.id_count == 8 && all.generated_tokens == 8 && all.prompt_tokens == kPromptSize);
  CHECK(all.prompt_id_count == kPromptSize && memcmp(all.prompt_ids, kPrompt, sizeof kPrompt) == 0);
  CHECK(all.finish_reason == LINNET_FINISH_LENGTH && all.prompt_seconds > 0);
  CHECK(stream.calls >= 8 && stream.size == all.text_size &&
        memcmp(stream.text, all.text, all.text_size) == 0);
  int64_t position = 0;
  SUCCEEDS(linnet_session_position(session, &position));
  CHECK(position == kPromptSize + 8);

  /* Rewound, the session gives the same tokens from there; an empty prompt continues. */
  SUCCEEDS(linnet_session_rewind(session, kPromptSize + 4));
  options.max_new_tokens = 4;
  SUCCEEDS(linnet_session_generate(session, NULL, 0, &options, NULL, NULL, &again));
  SUCCEEDS(linnet_result_generation(again, 0, &part));
  CHECK(part.id_count == 4 && memcmp(part.ids, all.ids + 4, 4 * sizeof(int32_t)) == 0);
  linnet_result_free(again);
  SUCCEEDS(linnet_session_reset(session));
  SUCCEEDS(linnet_session_position(session, &position));
  CHECK(position == 0);
  ERROR("empty prompt", linnet_session_generate(session, NULL, 0, &options, NULL, NULL, &again));
  CHECK(again == NULL);

  /* A callback that ends the text, one that cancels, and a cancellation in advance. */
  stream = (struct Stream){session, "", 0, 0, 2, 0, 0};
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, NULL, onToken, &stream, &again));
  SUCCEEDS(linnet_result_generation(again, 0, &part));
  CHECK(part.id_count == 2 && part.finish_reason == LINNET_FINISH_CANCELLED);
  linnet_result_free(again);
  SUCCEEDS(linnet_session_reset(session));
  stream = (struct Stream){session, "", 0, 0, 0, 1, 0};
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, NULL, onToken, &stream, &again));
  SUCCEEDS(linnet_result_generation(again, 0, &part));
  CHECK(part.id_count == 1 && part.finish_reason == LINNET_FINISH_CANCELLED);
  linnet_result_free(again);
  SUCCEEDS(linnet_session_cancel(session));
  ERROR("cancelled", linnet_session_logits(session, kPrompt, kPromptSize, 0, &again));

  /* A batch. */
  const int32_t *prompts[] = {kPrompt, kPrompt + 1, kPrompt};
  const size_t counts[] = {3, 2, 1};
  options.max_new_tokens = 8;
  stream = (struct Stream){other, "", 0, 0, 0, 0, 0};
  SUCCEEDS(linnet_session_generate_batch(other, prompts, counts, 3, &options, onToken, &stream, &again));
  size_t count = 0;
  SUCCEEDS(linnet_result_count(again, &count));
  CHECK(count == 3 && stream.largest_sequence == 2);
  SUCCEEDS(linnet_result_generation(again, 0, &part));
  CHECK(part.id_count == 8 && memcmp(part.ids, all.ids, 8 * sizeof(int32_t)) == 0);
  linnet_result_free(again);
  BAD("prompts: ", linnet_session_generate_batch(other, NULL, counts, 3, &options, NULL, NULL, &again));
  BAD("counts: ", linnet_session_generate_batch(other, prompts, NULL, 3, &options, NULL, NULL, &again));
  prompts[1] = NULL;
  BAD("prompts: ", linnet_session_generate_batch(other, prompts, counts, 3, &options, NULL, NULL, &again));
  static const size_t kNone[] = {0};
  ERROR("prompt 0: empty prompt",
        linnet_session_generate_batch(other, prompts, kNone, 1, NULL, NULL, NULL, &again));
  BAD("ids: ", linnet_session_generate(other, NULL, 1, NULL, NULL, NULL, &again));

  LINNET_STRUCT(linnet_memory_use, memory);
  SUCCEEDS(linnet_session_memory(other, &memory));
  CHECK(memory.total > 0);
  BAD("memory: ", linnet_session_memory(other, NULL));
  BAD("position: ", linnet_session_position(other, NULL));
  const int32_t first_id = all.ids[0];
  linnet_session_free(session);
  linnet_session_free(other);
  CHECK(all.ids[0] == first_id); /* a result outlives its session */
  linnet_result_free(result);
  return takeFailures();
}

/* The first token with these options. */
static int32_t firstToken(linnet_session *session, const linnet_generate_options *options) {
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, generation);
  SUCCEEDS(linnet_session_reset(session));
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  int32_t id = generation.id_count > 0 ? generation.ids[0] : -1;
  linnet_result_free(result);
  return id;
}

int testOptions(const char *path) {
  linnet_model *model = load(path);
  linnet_session *session = open(model);
  linnet_generate_options options = defaults();
  options.max_new_tokens = 1;
  const int32_t likeliest = firstToken(session, &options);

  const linnet_token_bias biases[] = {{likeliest, -100}, {77, 100}};
  options.logit_bias = biases;
  options.logit_bias_count = 1;
  CHECK(firstToken(session, &options) != likeliest);
  options.logit_bias_count = 2;
  CHECK(firstToken(session, &options) == 77);

  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, generation);
  const char *stop[] = {"zz", "M"}; /* the text of token 77 */
  options.stop = stop;
  options.stop_count = 2;
  options.max_new_tokens = 5;
  SUCCEEDS(linnet_session_reset(session));
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.finish_reason == LINNET_FINISH_STOP && generation.text_size == 0 &&
        generation.text[0] == '\0');
  linnet_result_free(result);
  options.stop_count = 0;
  const int32_t ends[] = {5, 77};
  options.eos_ids = ends;
  options.eos_id_count = 2;
  SUCCEEDS(linnet_session_reset(session));
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.finish_reason == LINNET_FINISH_EOS && generation.id_count == 1);
  linnet_result_free(result);
  options.ignore_eos = 1;
  options.max_new_tokens = 100;
  SUCCEEDS(linnet_session_reset(session));
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  CHECK(generation.finish_reason == LINNET_FINISH_CONTEXT);
  linnet_result_free(result);

  /* Sampling: the seed decides. */
  options = defaults();
  options.max_new_tokens = 1;
  options.do_sample = 1;
  options.temperature = 5;
  options.top_k = 0;
  int differ = 0;
  for (options.seed = 0; options.seed < 8; ++options.seed) {
    const int32_t id = firstToken(session, &options);
    CHECK(id == firstToken(session, &options));
    differ += id != likeliest;
  }
  CHECK(differ > 0);
  options.top_p = 0;
  CHECK(firstToken(session, &options) == likeliest);
  options.top_p = 1;
  options.temperature = 0;
  CHECK(firstToken(session, &options) == likeliest);
  options.temperature = 1;
  options.top_k = 1;
  CHECK(firstToken(session, &options) == likeliest);

  /* The penalties. */
  options = defaults();
  options.max_new_tokens = 20;
  options.frequency_penalty = options.presence_penalty = 100;
  SUCCEEDS(linnet_session_reset(session));
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &generation));
  for (size_t i = 1; i < generation.id_count; ++i)
    for (size_t j = 0; j < i; ++j) CHECK(generation.ids[i] != generation.ids[j]);
  linnet_result_free(result);

  /* Values out of range name the option. */
  SUCCEEDS(linnet_session_reset(session));
#define REFUSED(name, field, value)                                                                          \
  options = defaults();                                                                                      \
  options.field = value;                                                                                     \
  ERROR(name, linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result))
  REFUSED("max_new_tokens", max_new_tokens, -1);
  REFUSED("temperature", temperature, -1);
  REFUSED("top_k", top_k, -1);
  REFUSED("top_p", top_p, 2);
  REFUSED("repetition_penalty", repetition_penalty, 0);
  REFUSED("frequency_penalty", frequency_penalty, NAN);
  REFUSED("presence_penalty", presence_penalty, NAN);
  options = defaults();
  options.stop_count = 1;
  BAD("stop: ", linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  stop[0] = NULL;
  options.stop = stop;
  BAD("stop: ", linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  options = defaults();
  options.eos_id_count = 1;
  BAD("eos_ids: ", linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  options = defaults();
  options.logit_bias_count = 1;
  BAD("logit_bias: ", linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  linnet_session_free(session);
  linnet_model_free(model);
  return takeFailures();
}

int testMatrices(const char *path) {
  linnet_model *model = load(path);
  linnet_session *session = open(model);
  linnet_result *result = NULL, *last = NULL;
  LINNET_STRUCT(linnet_matrix, all);
  LINNET_STRUCT(linnet_matrix, one);
  SUCCEEDS(linnet_session_logits(session, kPrompt, kPromptSize, 1, &result));
  SUCCEEDS(linnet_result_matrix(result, 0, &all));
  CHECK(all.rows == kPromptSize && all.columns == kVocabulary);
  SUCCEEDS(linnet_session_logits(session, kPrompt, kPromptSize, 0, &last));
  SUCCEEDS(linnet_result_matrix(last, 0, &one));
  CHECK(one.rows == 1 && one.columns == kVocabulary);
  CHECK(memcmp(one.values, all.values + 2 * kVocabulary, kVocabulary * sizeof(float)) == 0);
  linnet_result_free(result);
  linnet_result_free(last);

  SUCCEEDS(linnet_session_hidden_states(session, kPrompt, kPromptSize, 1, &result));
  SUCCEEDS(linnet_result_matrix(result, 0, &all));
  CHECK(all.rows == kPromptSize && all.columns == kWidth);
  for (int pooling = LINNET_POOL_LAST; pooling <= LINNET_POOL_FIRST; ++pooling) {
    SUCCEEDS(linnet_session_embed(session, kPrompt, kPromptSize, pooling, 1, &last));
    SUCCEEDS(linnet_result_matrix(last, 0, &one));
    for (size_t c = 0; c < kWidth; ++c) {
      const float *column = all.values + c;
      const float mean = (column[0] + column[kWidth] + column[2 * kWidth]) / 3;
      const float expected = pooling == LINNET_POOL_MEAN    ? mean
                             : pooling == LINNET_POOL_FIRST ? column[0]
                                                            : column[2 * kWidth];
      CHECK(fabsf(one.values[c] - expected) < 1e-6f);
    }
    linnet_result_free(last);
  }
  linnet_result_free(result);
  BAD("pooling: expected LINNET_POOL_LAST",
      linnet_session_embed(session, kPrompt, kPromptSize, 3, 1, &result));
  ERROR("layer: ", linnet_session_embed(session, kPrompt, kPromptSize, 0, 9, &result));
  ERROR("layer: ", linnet_session_hidden_states(session, kPrompt, kPromptSize, -2, &result));
  ERROR("empty prompt", linnet_session_hidden_states(session, NULL, 0, -1, &result));
  static const int32_t kOutside = kVocabulary;
  ERROR("outside the vocabulary", linnet_session_logits(session, &kOutside, 1, 0, &result));
  int32_t *many = calloc(kContext + 1, sizeof *many);
  ERROR("longer than the context", linnet_session_hidden_states(session, many, kContext + 1, -1, &result));
  free(many);

  LINNET_STRUCT(linnet_perplexity, perplexity);
  SUCCEEDS(linnet_session_perplexity(session, kPrompt, kPromptSize, 0, &perplexity));
  CHECK(perplexity.tokens == 2 &&
        fabs(perplexity.perplexity - exp(perplexity.nll)) < 1e-9 * perplexity.perplexity);
  ERROR("stride: ", linnet_session_perplexity(session, kPrompt, kPromptSize, -1, &perplexity));
  perplexity.struct_size = 1;
  BAD("perplexity: ", linnet_session_perplexity(session, kPrompt, kPromptSize, 0, &perplexity));
  linnet_session_free(session);
  linnet_model_free(model);
  return takeFailures();
}

static void onProgress(void *user, double fraction) { *(double *)user = fraction; }

int testClassify(const char *path, const char *classifier) {
  linnet_model *model = load(classifier);
  linnet_session *session = open(model);
  linnet_result *result = NULL;
  const int32_t *texts[] = {kPrompt, kPrompt + 1};
  const size_t counts[] = {3, 2};
  double fraction = 0;
  SUCCEEDS(linnet_session_classify(session, texts, counts, 2, onProgress, &fraction, &result));
  CHECK(fraction == 1);
  size_t count = 0;
  SUCCEEDS(linnet_result_count(result, &count));
  CHECK(count == 2);
  LINNET_STRUCT(linnet_classification, answer);
  for (size_t i = 0; i < count; ++i) {
    SUCCEEDS(linnet_result_classification(result, i, &answer));
    CHECK(answer.label_count == 3 && answer.label < 3 && !answer.truncated);
    double sum = 0;
    for (size_t label = 0; label < 3; ++label) {
      CHECK(answer.scores[label] <= answer.scores[answer.label]);
      sum += answer.probabilities[label];
    }
    CHECK(fabs(sum - 1) < 1e-9);
  }
  linnet_result_free(result);
  SUCCEEDS(linnet_session_classify(session, NULL, NULL, 0, NULL, NULL, &result));
  SUCCEEDS(linnet_result_count(result, &count));
  CHECK(count == 0);
  linnet_result_free(result);
  ERROR("expected a language model", linnet_session_logits(session, kPrompt, 1, 0, &result));
  linnet_session_free(session);
  linnet_model_free(model);
  model = load(path);
  session = open(model);
  ERROR("expected a classifier", linnet_session_classify(session, texts, counts, 2, NULL, NULL, &result));
  linnet_session_free(session);
  linnet_model_free(model);
  return takeFailures();
}

int testBatch(const char *path, const char *classifier) {
  linnet_model *model = load(path);
  linnet_session *session = open(model);
  linnet_batch *batch = NULL;
  LINNET_STRUCT(linnet_batch_options, batch_options);
  batch_options.rows = 2;
  SUCCEEDS(linnet_batch_open(model, &batch_options, &batch));
  linnet_generate_options options = defaults();
  options.max_new_tokens = 6;
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, alone);
  SUCCEEDS(linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result));
  SUCCEEDS(linnet_result_generation(result, 0, &alone));

  LINNET_STRUCT(linnet_batch_request, request);
  request.prompt = kPrompt;
  request.prompt_count = kPromptSize;
  request.options = &options;
  request.logprobs = 1;
  int64_t first = -1, second = -1, third = -1;
  request.top_logprobs = -1;
  BAD("top_logprobs: expected 0 or more, found -1", linnet_batch_add(batch, &request, &first));
  request.top_logprobs = 2;
  SUCCEEDS(linnet_batch_add(batch, &request, &first));
  request.prompt_count = 2;
  request.logprobs = 0;
  SUCCEEDS(linnet_batch_add(batch, &request, &second));
  CHECK(first != second);
  ERROR("no free row", linnet_batch_add(batch, &request, &third));
  size_t seen = 0;
  LINNET_STRUCT(linnet_batch_counts, counts);
  int32_t steps = 0;
  for (int32_t finished = 0; !finished && steps < 100; ++steps) {
    size_t events = 0;
    SUCCEEDS(linnet_batch_step(batch, &events));
    for (size_t i = 0; i < events; ++i) {
      LINNET_STRUCT(linnet_batch_event, event);
      SUCCEEDS(linnet_batch_get_event(batch, i, &event));
      if (event.number != first) continue;
      CHECK(seen < alone.id_count && event.id == alone.ids[seen]);
      CHECK(event.top_count == 2 && event.top[0].id == event.id && event.top[0].logprob == event.logprob);
      CHECK(event.top[1].logprob <= event.top[0].logprob && event.logprob < 0 && event.error[0] == '\0');
      ++seen;
      finished = event.finish_reason;
      if (seen == 1) SUCCEEDS(linnet_batch_remove(batch, second));
    }
    LINNET_STRUCT(linnet_batch_event, none);
    BAD("index: ", linnet_batch_get_event(batch, events, &none));
  }
  CHECK(seen == 6 && steps < 100);
  SUCCEEDS(linnet_batch_get_counts(batch, &counts));
  CHECK(counts.rows == 2 && counts.running == 0 && counts.steps > 0 && counts.generated_tokens >= 6);
  LINNET_STRUCT(linnet_memory_use, memory);
  SUCCEEDS(linnet_batch_memory(batch, &memory));
  CHECK(memory.total > 0);

  BAD("request: ", linnet_batch_add(batch, NULL, &first));
  request.prompt = NULL;
  BAD("prompt: ", linnet_batch_add(batch, &request, &first));
  request.prompt_count = 0;
  ERROR("empty prompt", linnet_batch_add(batch, &request, &first));
  SUCCEEDS(linnet_batch_remove(batch, 99));
  linnet_batch_free(batch);
  batch_options.rows = 5;
  ERROR("rows: expected from 1 to 4", linnet_batch_open(model, &batch_options, &batch));
  CHECK(batch == NULL);
  linnet_result_free(result);
  linnet_session_free(session);
  linnet_model_free(model);
  model = load(classifier);
  ERROR("expected a language model", linnet_batch_open(model, NULL, &batch));
  linnet_model_free(model);
  return takeFailures();
}

int generateSame(const char *path, const int *expected, int count) {
  linnet_model *model = NULL;
  linnet_session *session = NULL;
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_generation, generation);
  linnet_generate_options options;
  int faults = strcmp(linnet_error_message(), "") != 0; /* other threads' messages do not show here */
  faults += linnet_model_load("/nonexistent", NULL, &model) != LINNET_ERROR;
  faults += linnet_generate_options_init(&options, sizeof options) != LINNET_OK;
  options.max_new_tokens = count;
  faults += linnet_model_load(path, NULL, &model) != LINNET_OK;
  faults += linnet_session_open(model, &session) != LINNET_OK;
  faults +=
      linnet_session_generate(session, kPrompt, kPromptSize, &options, NULL, NULL, &result) != LINNET_OK;
  faults += linnet_result_generation(result, 0, &generation) != LINNET_OK;
  faults += generation.id_count != (size_t)count ||
            memcmp(generation.ids, expected, (size_t)count * sizeof(int)) != 0;
  faults += strstr(linnet_error_message(), "/nonexistent") == NULL;
  linnet_result_free(result);
  linnet_session_free(session);
  linnet_model_free(model);
  return faults;
}
