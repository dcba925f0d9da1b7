/* Checks for tests in C: a failed one is printed and counted. */
#pragma once
#include "linnet/linnet.h"

#include <stdio.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "%s:%d: %s; message: %s\n", __FILE__, __LINE__, #condition, linnet_error_message());   \
      ++failures;                                                                                            \
    }                                                                                                        \
  } while (0)
#define SUCCEEDS(call) CHECK((call) == LINNET_OK)
/* The call returns `status`, and its message has the part `text`. */
#define FAILS(status, text, call)                                                                            \
  do {                                                                                                       \
    CHECK((call) == (status));                                                                               \
    CHECK(strstr(linnet_error_message(), text) != NULL);                                                     \
  } while (0)
#define BAD(text, call) FAILS(LINNET_BAD_ARGUMENT, text, call)
#define ERROR(text, call) FAILS(LINNET_ERROR, text, call)

static int takeFailures(void) {
  int count = failures;
  failures = 0;
  return count;
}
