/* The toy model of fixtures.h, for tests in C. */
#pragma once
#include "tests/runtime/c_check.h"

static const int32_t kPrompt[] = {1, 2, 3};
enum { kPromptSize = 3, kVocabulary = 300, kContext = 48, kWidth = 6 };

static inline linnet_model *load(const char *path) {
  linnet_model *model = NULL;
  SUCCEEDS(linnet_model_load(path, NULL, &model));
  return model;
}

static inline linnet_session *open(const linnet_model *model) {
  linnet_session *session = NULL;
  SUCCEEDS(linnet_session_open(model, &session));
  return session;
}

static inline linnet_generate_options defaults(void) {
  linnet_generate_options options;
  SUCCEEDS(linnet_generate_options_init(&options, sizeof options));
  return options;
}
