/* Uses Linnet from C: generate MODEL.linnet PROMPT [TOKENS] streams a continuation, and ctrl-C ends it early. */
#include <linnet/linnet.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static linnet_session *session = NULL;

static void check(linnet_status status) {
  if (status == LINNET_OK) return;
  fprintf(stderr, "generate: %s\n", linnet_error_message());
  exit(1);
}

static void onInterrupt(int number) {
  (void)number;
  linnet_session_cancel(session);
}

static int32_t print(void *user, int64_t sequence, int32_t id, const char *text, size_t size) {
  (void)user, (void)sequence, (void)id;
  fwrite(text, 1, size, stdout);
  fflush(stdout);
  return 0; /* any other value ends the generation */
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: generate MODEL.linnet PROMPT [TOKENS]\n");
    return 1;
  }
  linnet_model *model = NULL;
  check(linnet_model_load(argv[1], NULL, &model));
  check(linnet_session_open(model, &session));
  signal(SIGINT, onInterrupt);

  linnet_result *encoded = NULL, *result = NULL;
  LINNET_STRUCT(linnet_ids, prompt);
  check(linnet_encode(model, argv[2], strlen(argv[2]), NULL, &encoded));
  check(linnet_result_ids(encoded, 0, &prompt));

  LINNET_STRUCT(linnet_generate_options, options);
  check(linnet_model_generation(model, &options)); /* what the checkpoint asks for */
  options.max_new_tokens = argc > 3 ? atoi(argv[3]) : 32;
  check(linnet_session_generate(session, prompt.ids, prompt.count, &options, print, NULL, &result));

  LINNET_STRUCT(linnet_generation, generation);
  check(linnet_result_generation(result, 0, &generation));
  printf("\n");
  fprintf(stderr, "%lld tokens, the first after %f s\n", (long long)generation.generated_tokens,
          generation.prompt_seconds);
  linnet_result_free(result);
  linnet_result_free(encoded);
  signal(SIGINT, SIG_DFL); /* the handler uses the session */
  linnet_session_free(session);
  linnet_model_free(model);
  return 0;
}
