/* The C interface of liblinnet_runtime.so, in C99. docs/c-api.md is its guide.
 *
 * Status. Every function that can fail returns a linnet_status. After a failure, linnet_error_message() is one line
 * that says what was expected, what was found, and where. A failed call that would return a handle sets it to NULL.
 *
 * Structs. Each begins with struct_size, which the caller sets to sizeof before a call, as LINNET_STRUCT does. The
 * library reads and writes at most that many bytes. Fields that an older caller lacks have their defaults. Fields that
 * the library does not know must be zero in options, and are set to zero in results. Zero is every field's default,
 * except in linnet_generate_options (linnet_generate_options_init).
 *
 * Handles. A linnet_..._free function takes NULL. A handle stays valid after the handle that it was made from is freed.
 * Pointers in result structs point into the handle and are valid until it changes or is freed.
 *
 * Text is UTF-8. A text with a size may contain NUL bytes; a text of a result also has a NUL byte at its end.
 *
 * Threads. Functions without a handle may be called from any thread. linnet_model and linnet_result may be used by
 * several threads at the same time. linnet_session, linnet_batch and linnet_graph take one thread at a time, except
 * linnet_session_cancel; different handles are independent. Nothing may use a handle while it is freed.
 *
 * Versions. While the major version is 0, the SONAME contains the minor version: a program is linked again for each new
 * minor version, and needs no change. The library and runtime/c/abi.txt have the layouts of 64-bit systems. */
#ifndef LINNET_C_H
#define LINNET_C_H

#include "linnet/api.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface. It grows when functions or fields are added. A function that version N added has the
 * symbol version LINNET_N. */
#define LINNET_C_ABI 2

/* Declares a struct with its struct_size set and all other fields zero. */
#define LINNET_STRUCT(type, name) type name = {.struct_size = sizeof(type)}

typedef int32_t linnet_status;
enum {
  LINNET_OK = 0,
  LINNET_ERROR = 1,       /* the call could not do what was asked */
  LINNET_BAD_ARGUMENT = 2 /* a wrong call: NULL, a struct_size, an index, a result of another kind */
};

/* The message of this thread's last failed call, valid until the thread's next failure. Empty if none failed. */
LINNET_API const char *linnet_error_message(void);
/* LINNET_C_ABI of the library. */
LINNET_API uint32_t linnet_c_abi(void);
/* Version of the library: "0.1.0". */
LINNET_API const char *linnet_version(void);
/* Version of the artifact format that the library reads. */
LINNET_API uint32_t linnet_artifact_format(void);

typedef struct linnet_model linnet_model;
typedef struct linnet_session linnet_session;
typedef struct linnet_batch linnet_batch;
typedef struct linnet_graph linnet_graph;
typedef struct linnet_result linnet_result;

/* Results. A result holds `count` items of one kind. */

typedef struct linnet_ids {
  size_t struct_size;
  const int32_t *ids;
  size_t count;
} linnet_ids;

typedef struct linnet_text {
  size_t struct_size;
  const char *bytes;
  size_t size;
} linnet_text;

/* Row-major. */
typedef struct linnet_matrix {
  size_t struct_size;
  int64_t rows, columns;
  const float *values;
} linnet_matrix;

/* The reasons for which a text ends. */
enum {
  LINNET_NOT_FINISHED = 0,
  LINNET_FINISH_LENGTH = 1,    /* max_new_tokens was reached */
  LINNET_FINISH_STOP = 2,      /* a stop text was generated */
  LINNET_FINISH_EOS = 3,       /* an end token was generated; it is the last id and not part of the text */
  LINNET_FINISH_CANCELLED = 4, /* linnet_session_cancel was called, or the callback ended the text */
  LINNET_FINISH_CONTEXT = 5,   /* the KV cache is full */
  LINNET_FINISH_FAILED = 6     /* in a batch: see linnet_batch_event.error */
};

typedef struct linnet_generation {
  size_t struct_size;
  const int32_t *prompt_ids;
  size_t prompt_id_count;
  const int32_t *ids; /* the new tokens */
  size_t id_count;
  const char *text; /* text of `ids`, cut at a stop text; empty without a tokenizer */
  size_t text_size;
  int32_t finish_reason, reserved;
  int64_t prompt_tokens, generated_tokens;
  double prompt_seconds;   /* until the first new token is known */
  double generate_seconds; /* for the generated_tokens - 1 tokens after it */
} linnet_generation;

typedef struct linnet_classification {
  size_t struct_size;
  size_t label;                /* label of the largest score: an index in linnet_model_info.labels */
  const float *scores;         /* by label */
  const double *probabilities; /* by label */
  size_t label_count;
  int32_t truncated, reserved; /* the text was longer than the context, and its end was cut */
} linnet_classification;

enum { LINNET_F32 = 0, LINNET_F16 = 1, LINNET_BF16 = 2, LINNET_I32 = 3, LINNET_I8 = 4 };

/* A dense row-major tensor: an input or a result of a graph. */
typedef struct linnet_tensor {
  size_t struct_size;
  const char *name;
  int32_t type, rank;
  const int64_t *shape;
  const void *bytes;
  size_t byte_count;
} linnet_tensor;

/* A device of this machine. */
typedef struct linnet_device {
  size_t struct_size;
  const char *device;  /* "cpu", "vulkan:0": a value of linnet_load_options.device */
  const char *name;    /* as the driver tells it */
  const char *refusal; /* the reason why it cannot be used; empty if it can */
  int32_t kind;        /* LINNET_PROCESSOR, LINNET_DRIVER or LINNET_GPU */
  int32_t is_default;  /* whether "cpu" or "vulkan" alone selects it */
} linnet_device;

LINNET_API linnet_status linnet_result_count(const linnet_result *result, size_t *count);
/* The item `index`. Errors: the result is of another kind, or has no such item. */
LINNET_API linnet_status linnet_result_ids(const linnet_result *result, size_t index, linnet_ids *ids);
LINNET_API linnet_status linnet_result_text(const linnet_result *result, size_t index, linnet_text *text);
LINNET_API linnet_status linnet_result_matrix(const linnet_result *result, size_t index,
                                              linnet_matrix *matrix);
LINNET_API linnet_status linnet_result_generation(const linnet_result *result, size_t index,
                                                  linnet_generation *generation);
LINNET_API linnet_status linnet_result_classification(const linnet_result *result, size_t index,
                                                      linnet_classification *classification);
LINNET_API linnet_status linnet_result_tensor(const linnet_result *result, size_t index,
                                              linnet_tensor *tensor);
LINNET_API linnet_status linnet_result_device(const linnet_result *result, size_t index,
                                              linnet_device *device);
LINNET_API void linnet_result_free(linnet_result *result);

/* Devices and memory. */

enum {
  LINNET_PROCESSOR = 0, /* this machine's CPU, with Linnet's code */
  LINNET_DRIVER = 1,    /* this machine's CPU, with code of a Vulkan driver */
  LINNET_GPU = 2
};

/* Bytes. Weights are mapped from the file and shared by all processes. The rest belongs to one session, batch or
 * graph. */
typedef struct linnet_memory_use {
  size_t struct_size;
  uint64_t weights, states, arena, io, scratch, total;
} linnet_memory_use;

/* Lists the devices of this machine: the CPU, then those of Vulkan. If Vulkan's cannot be listed, the second and last
 * item is "vulkan" with the reason in `refusal`. Items: linnet_device. */
LINNET_API linnet_status linnet_devices(linnet_result **result);

/* Models: a language model or a classifier. */

typedef struct linnet_load_options {
  size_t struct_size;
  const char *device; /* TARGET or TARGET:ARGUMENT ("cpu", "vulkan:1"). NULL: cpu, else the first target */
  int32_t threads;    /* 0: OMP_NUM_THREADS, else one per core */
  int32_t reserved;
} linnet_load_options;

/* A classifier's function from scores to probabilities. */
enum { LINNET_SINGLE_LABEL = 0, LINNET_MULTI_LABEL = 1, LINNET_REGRESSION = 2 };

typedef struct linnet_model_info {
  size_t struct_size;
  const char *path;
  const char *config_json; /* config.json of the checkpoint */
  const char *device;      /* "cpu, 2 threads" */
  int64_t n_layer, n_head, n_embd, vocab_size;
  int64_t n_positions; /* positions of the model, in tokens */
  int64_t context;     /* capacity of the KV cache, in tokens */
  int64_t max_batch;   /* most sequences in one call */
  const int32_t *eos_ids;
  size_t eos_id_count;
  const char *const *labels; /* a classifier's labels by number */
  size_t label_count;        /* 0: a language model */
  const char *const *targets;
  size_t target_count;
  int32_t bos_id, pad_id; /* -1: none */
  int32_t problem_type, device_kind;
  int32_t has_tokenizer, reserved;
} linnet_model_info;

/* Maps and checks the file, opens the device, and reserves the memory of one session. `options` may be NULL. */
LINNET_API linnet_status linnet_model_load(const char *path, const linnet_load_options *options,
                                           linnet_model **model);
LINNET_API linnet_status linnet_model_get_info(const linnet_model *model, linnet_model_info *info);
/* Memory of one session. */
LINNET_API linnet_status linnet_model_memory(const linnet_model *model, linnet_memory_use *memory);
LINNET_API void linnet_model_free(linnet_model *model);

typedef struct linnet_encode_options {
  size_t struct_size;
  int32_t special_as_text;     /* 1: special tokens in the text ("<|endoftext|>") are ordinary text */
  int32_t omit_special_tokens; /* 1: without the ids that the tokenizer's files put around every text */
  int64_t max_length;          /* longer texts are cut to that many tokens; 0: no limit */
} linnet_encode_options;

/* Text to ids. `options` may be NULL. Item: linnet_ids. Errors: the model has no tokenizer, or the text has a byte
 * without a token. */
LINNET_API linnet_status linnet_encode(const linnet_model *model, const char *text, size_t size,
                                       const linnet_encode_options *options, linnet_result **result);
/* Ids to text; ill-formed UTF-8 becomes U+FFFD. skip_special: 1 leaves special tokens out. Item: linnet_text. */
LINNET_API linnet_status linnet_decode(const linnet_model *model, const int32_t *ids, size_t count,
                                       int32_t skip_special, linnet_result **result);

/* Generation. */

typedef struct linnet_token_bias {
  int32_t id;
  float bias;
} linnet_token_bias;

/* Called before a token is chosen, after bias and penalties and before temperature, top_k and top_p. `ids` is the text
 * so far. The callback may change `logits`, one number for each token; -infinity excludes a token. Both arrays are
 * valid during the call only. `sequence` is the prompt's index, or the text's number in a linnet_batch. A result other
 * than 0 ends the text before that token. It runs on the calling thread. It must not use the batch, and of the session
 * only linnet_session_cancel. */
typedef int32_t (*linnet_logits_callback)(void *user, int64_t sequence, const int32_t *ids, size_t id_count,
                                          float *logits, size_t logit_count);

/* Options of text generation: linnet/generate_options.h has their contracts. */
typedef struct linnet_generate_options {
  size_t struct_size;
  int64_t max_new_tokens; /* 128 */
  int64_t top_k;          /* 50; 0: no limit */
  uint64_t seed;
  int32_t do_sample;        /* 0: every token is the likeliest one */
  int32_t ignore_eos;       /* 1: generation continues past the tokens that end a text */
  float temperature;        /* 1 */
  float top_p;              /* 1 */
  float repetition_penalty; /* 1 */
  float frequency_penalty, presence_penalty;
  int32_t reserved;
  const linnet_token_bias *logit_bias;
  size_t logit_bias_count;
  const char *const *stop; /* generation ends before the first of these texts */
  size_t stop_count;
  const int32_t *eos_ids; /* tokens that end the text; none: those of the model */
  size_t eos_id_count;
  linnet_logits_callback on_logits; /* NULL: none. Since version 2 */
  void *on_logits_user;
} linnet_generate_options;

/* Sets struct_size and the defaults. Call it as linnet_generate_options_init(&options, sizeof options). */
LINNET_API linnet_status linnet_generate_options_init(linnet_generate_options *options, size_t struct_size);
/* The checkpoint's generation settings, with the defaults for missing ones. */
LINNET_API linnet_status linnet_model_generation(const linnet_model *model, linnet_generate_options *options);

/* Sessions: a KV cache and its position. */

/* Called for each new token with the text that it completes, in whole UTF-8 characters. If text remains when generation
 * ends, one more call with id -1 delivers it. `sequence` is the prompt's index in a batch. A result other than 0 ends
 * the text. It runs on the calling thread, and must not use the session except for linnet_session_cancel. */
typedef int32_t (*linnet_token_callback)(void *user, int64_t sequence, int32_t id, const char *text,
                                         size_t size);
/* `fraction`: the finished part of the work, 0 to 1. */
typedef void (*linnet_progress_callback)(void *user, double fraction);

LINNET_API linnet_status linnet_session_open(const linnet_model *model, linnet_session **session);
/* A new session with the same tokens and a copy of their cache. The two are independent afterwards. Since version 2. */
LINNET_API linnet_status linnet_session_fork(linnet_session *session, linnet_session **fork);
LINNET_API void linnet_session_free(linnet_session *session);
/* Continues the session's text by the prompt and new tokens. An empty prompt continues after the last token. `options`
 * and `callback` may be NULL. Item: linnet_generation. */
LINNET_API linnet_status linnet_session_generate(linnet_session *session, const int32_t *ids, size_t count,
                                                 const linnet_generate_options *options,
                                                 linnet_token_callback callback, void *user,
                                                 linnet_result **result);
/* Continues `prompt_count` prompts, max_batch at a time; prompt i has counts[i] ids. Starts from an empty session and
 * leaves one. Items: a linnet_generation for each prompt. */
LINNET_API linnet_status linnet_session_generate_batch(linnet_session *session, const int32_t *const *prompts,
                                                       const size_t *counts, size_t prompt_count,
                                                       const linnet_generate_options *options,
                                                       linnet_token_callback callback, void *user,
                                                       linnet_result **result);

/* The next five start from an empty session and leave one. */

/* Logits of the last position, [1, vocab_size], or with `all` of every position, [count, vocab_size]. Item:
 * linnet_matrix. */
LINNET_API linnet_status linnet_session_logits(linnet_session *session, const int32_t *ids, size_t count,
                                               int32_t all, linnet_result **result);
enum { LINNET_POOL_LAST = 0, LINNET_POOL_MEAN = 1, LINNET_POOL_FIRST = 2 };
/* One vector, [1, n_embd]. Layer 0 is the sum of the embeddings, layer i the output of block i, -1 that of the final
 * norm. Item: linnet_matrix. */
LINNET_API linnet_status linnet_session_embed(linnet_session *session, const int32_t *ids, size_t count,
                                              int32_t pooling, int64_t layer, linnet_result **result);
/* The layer's state of every position, [count, n_embd]. Item: linnet_matrix. */
LINNET_API linnet_status linnet_session_hidden_states(linnet_session *session, const int32_t *ids,
                                                      size_t count, int64_t layer, linnet_result **result);
/* Text i has counts[i] ids. `progress` may be NULL. Items: a linnet_classification for each text. */
LINNET_API linnet_status linnet_session_classify(linnet_session *session, const int32_t *const *texts,
                                                 const size_t *counts, size_t text_count,
                                                 linnet_progress_callback progress, void *user,
                                                 linnet_result **result);

typedef struct linnet_perplexity {
  size_t struct_size;
  double perplexity; /* e^(nll) */
  double nll;        /* mean negative log likelihood per token, in nats */
  int64_t tokens;    /* number of predicted tokens */
} linnet_perplexity;

/* Over windows as long as the context that start every `stride` tokens; 0: windows do not overlap. */
LINNET_API linnet_status linnet_session_perplexity(linnet_session *session, const int32_t *ids, size_t count,
                                                   int64_t stride, linnet_perplexity *perplexity);

/* Ends the running call at its next token or chunk of the prompt. If no call is running, it ends the next one. May be
 * called from any thread and from a signal handler. Sets no error message. */
LINNET_API linnet_status linnet_session_cancel(linnet_session *session);
/* Removes all tokens, and a cancellation that has not ended a call yet. */
LINNET_API linnet_status linnet_session_reset(linnet_session *session);
/* Keeps the first `tokens` tokens and removes the others. */
LINNET_API linnet_status linnet_session_rewind(linnet_session *session, int64_t tokens);
/* Number of tokens in the session. */
LINNET_API linnet_status linnet_session_position(const linnet_session *session, int64_t *position);
LINNET_API linnet_status linnet_session_memory(const linnet_session *session, linnet_memory_use *memory);

/* Batches: many texts at once, which join and leave between two steps. */

typedef struct linnet_batch_options {
  size_t struct_size;
  int64_t rows;         /* most texts at once; 0: max_batch */
  int64_t prompt_chunk; /* most tokens of a prompt in a step; 0: as many as the artifact allows */
} linnet_batch_options;

typedef struct linnet_batch_request {
  size_t struct_size;
  const int32_t *prompt;
  size_t prompt_count;
  const linnet_generate_options *options; /* NULL: the defaults */
  int64_t top_logprobs; /* with `logprobs`: each event lists that many likeliest tokens; 0 or more */
  int32_t logprobs;     /* 1: events have log probabilities */
  uint32_t copy;        /* the number of equal prompts before it, for GenerateOptions::seed */
} linnet_batch_request;

typedef struct linnet_token_logprob {
  int32_t id;
  float logprob;
} linnet_token_logprob;

/* The result of one step for one text. */
typedef struct linnet_batch_event {
  size_t struct_size;
  int64_t number;        /* the text, as linnet_batch_add gave it */
  int32_t id;            /* the new token; -1: there is none, the event ends the text */
  int32_t finish_reason; /* other than LINNET_NOT_FINISHED: the text's last event */
  const char *text;      /* the text that the token completes */
  size_t text_size;
  const linnet_token_logprob *top; /* likeliest first */
  size_t top_count;
  const char *error; /* with LINNET_FINISH_FAILED; else empty */
  float logprob;
  int32_t reserved;
} linnet_batch_event;

typedef struct linnet_batch_counts {
  size_t struct_size;
  int64_t rows, running, steps, prompt_tokens, shared_tokens, generated_tokens, cached_tokens, evicted_tokens;
} linnet_batch_counts;

/* `options` may be NULL. Errors: the model is a classifier; options out of range; memory is insufficient. */
LINNET_API linnet_status linnet_batch_open(const linnet_model *model, const linnet_batch_options *options,
                                           linnet_batch **batch);
LINNET_API void linnet_batch_free(linnet_batch *batch);
/* Adds a text and gives its number. Errors leave the batch unchanged. */
LINNET_API linnet_status linnet_batch_add(linnet_batch *batch, const linnet_batch_request *request,
                                          int64_t *number);
/* Ends a text without an event; nothing if it has ended. The last step's events may still contain some of the text. */
LINNET_API linnet_status linnet_batch_remove(linnet_batch *batch, int64_t number);
/* Generates one token for each text whose prompt was fed, and feeds at most a chunk of prompts. `events` is the number
 * of events, which are valid until the next step. After an error (a lost device) all later steps return it. */
LINNET_API linnet_status linnet_batch_step(linnet_batch *batch, size_t *events);
LINNET_API linnet_status linnet_batch_get_event(const linnet_batch *batch, size_t index,
                                                linnet_batch_event *event);
LINNET_API linnet_status linnet_batch_get_counts(const linnet_batch *batch, linnet_batch_counts *counts);
LINNET_API linnet_status linnet_batch_memory(const linnet_batch *batch, linnet_memory_use *memory);

/* Graphs: entries of any artifact by name, with tensors in host memory. */

typedef struct linnet_entry {
  size_t struct_size;
  const char *name;
  size_t input_count, output_count;
} linnet_entry;

/* An input or output of an entry, or a state. */
typedef struct linnet_port {
  size_t struct_size;
  const char *name;
  int32_t type, rank;
  const char *const *shape; /* each dimension is a number, a name ("batch") or a formula of names */
  const int64_t *largest;   /* the shape at the bounds */
} linnet_port;

/* Loads an artifact of any kind. `options` may be NULL. */
LINNET_API linnet_status linnet_graph_load(const char *path, const linnet_load_options *options,
                                           linnet_graph **graph);
LINNET_API void linnet_graph_free(linnet_graph *graph);
LINNET_API linnet_status linnet_graph_counts(const linnet_graph *graph, size_t *entries, size_t *states);
LINNET_API linnet_status linnet_graph_entry(const linnet_graph *graph, size_t index, linnet_entry *entry);
LINNET_API linnet_status linnet_graph_input(const linnet_graph *graph, size_t entry, size_t index,
                                            linnet_port *port);
LINNET_API linnet_status linnet_graph_output(const linnet_graph *graph, size_t entry, size_t index,
                                             linnet_port *port);
LINNET_API linnet_status linnet_graph_state(const linnet_graph *graph, size_t index, linnet_port *port);
/* Runs an entry. Inputs may be in any order. `outputs` names the outputs to return; output_count 0: all. Items:
 * linnet_tensor. */
LINNET_API linnet_status linnet_graph_run(linnet_graph *graph, const char *entry,
                                          const linnet_tensor *const *inputs, size_t input_count,
                                          const char *const *outputs, size_t output_count,
                                          linnet_result **result);
/* Sets all states (caches, counters) to zero. */
LINNET_API linnet_status linnet_graph_reset_states(linnet_graph *graph);
/* A state at its largest size. Item: linnet_tensor. */
LINNET_API linnet_status linnet_graph_read_state(linnet_graph *graph, const char *name,
                                                 linnet_result **result);
/* Overwrites a state. It must have exactly the size that linnet_graph_read_state gives. */
LINNET_API linnet_status linnet_graph_write_state(linnet_graph *graph, const char *name, const void *bytes,
                                                  size_t byte_count);
LINNET_API linnet_status linnet_graph_memory(const linnet_graph *graph, linnet_memory_use *memory);

#ifdef __cplusplus
}
#endif
#endif
