/* Graphs through linnet/c.h. */
#include "tests/runtime/c_api.h"
#include "tests/runtime/c_check.h"

static void testNullGraph(void) {
  linnet_graph *graph = (linnet_graph *)&graph;
  linnet_result *result = (linnet_result *)&result;
  LINNET_STRUCT(linnet_entry, entry);
  LINNET_STRUCT(linnet_port, port);
  LINNET_STRUCT(linnet_memory_use, memory);
  size_t entries = 0, states = 0;
  BAD("graph: ", linnet_graph_load("x", NULL, NULL));
  BAD("path: ", linnet_graph_load(NULL, NULL, &graph));
  CHECK(graph == NULL);
  BAD("graph: ", linnet_graph_counts(NULL, &entries, &states));
  BAD("graph: ", linnet_graph_entry(NULL, 0, &entry));
  BAD("graph: ", linnet_graph_input(NULL, 0, 0, &port));
  BAD("graph: ", linnet_graph_output(NULL, 0, 0, &port));
  BAD("graph: ", linnet_graph_state(NULL, 0, &port));
  BAD("result: ", linnet_graph_run(NULL, "main", NULL, 0, NULL, 0, NULL));
  BAD("graph: ", linnet_graph_run(NULL, "main", NULL, 0, NULL, 0, &result));
  CHECK(result == NULL);
  BAD("graph: ", linnet_graph_reset_states(NULL));
  BAD("graph: ", linnet_graph_read_state(NULL, "s", &result));
  BAD("graph: ", linnet_graph_write_state(NULL, "s", NULL, 0));
  BAD("graph: ", linnet_graph_memory(NULL, &memory));
}

static void testChain(const char *path) {
  linnet_graph *graph = NULL;
  SUCCEEDS(linnet_graph_load(path, NULL, &graph));
  size_t entries = 0, states = 0;
  SUCCEEDS(linnet_graph_counts(graph, &entries, &states));
  CHECK(entries == 1 && states == 0);
  BAD("entries: ", linnet_graph_counts(graph, NULL, &states));
  BAD("states: ", linnet_graph_counts(graph, &entries, NULL));
  LINNET_STRUCT(linnet_entry, entry);
  LINNET_STRUCT(linnet_port, port);
  SUCCEEDS(linnet_graph_entry(graph, 0, &entry));
  CHECK(strcmp(entry.name, "main") == 0 && entry.input_count == 1 && entry.output_count == 1);
  SUCCEEDS(linnet_graph_input(graph, 0, 0, &port));
  CHECK(strcmp(port.name, "x") == 0 && port.type == LINNET_F32 && port.rank == 2);
  CHECK(strcmp(port.shape[0], "batch") == 0 && strcmp(port.shape[1], "8") == 0);
  CHECK(port.largest[0] == 64 && port.largest[1] == 8);
  SUCCEEDS(linnet_graph_output(graph, 0, 0, &port));
  CHECK(strcmp(port.name, "y") == 0);
  BAD("entry: expected an index below 1, found 1", linnet_graph_entry(graph, 1, &entry));
  BAD("entry: ", linnet_graph_input(graph, 1, 0, &port));
  BAD("index: ", linnet_graph_input(graph, 0, 1, &port));
  BAD("index: ", linnet_graph_output(graph, 0, 1, &port));
  BAD("index: ", linnet_graph_state(graph, 0, &port));

  float values[16];
  for (int i = 0; i < 16; ++i) values[i] = (float)i;
  const int64_t shape[] = {2, 8};
  LINNET_STRUCT(linnet_tensor, x);
  x.name = "x";
  x.type = LINNET_F32;
  x.rank = 2;
  x.shape = shape;
  x.bytes = values;
  x.byte_count = sizeof values;
  const linnet_tensor *inputs[] = {&x};
  const char *outputs[] = {"y"};
  linnet_result *all = NULL, *named = NULL;
  SUCCEEDS(linnet_graph_run(graph, "main", inputs, 1, NULL, 0, &all));
  SUCCEEDS(linnet_graph_run(graph, "main", inputs, 1, outputs, 1, &named));
  LINNET_STRUCT(linnet_tensor, y);
  LINNET_STRUCT(linnet_tensor, same);
  SUCCEEDS(linnet_result_tensor(all, 0, &y));
  SUCCEEDS(linnet_result_tensor(named, 0, &same));
  CHECK(strcmp(y.name, "y") == 0 && y.type == LINNET_F32 && y.rank == 2 && y.shape[0] == 2 &&
        y.shape[1] == 8);
  CHECK(y.byte_count == sizeof values && memcmp(y.bytes, same.bytes, sizeof values) == 0);
  CHECK(memcmp(y.bytes, values, sizeof values) != 0);
  linnet_result_free(all);
  linnet_result_free(named);

  ERROR("has no entry 'none'", linnet_graph_run(graph, "none", inputs, 1, NULL, 0, &all));
  CHECK(all == NULL);
  ERROR("expected 1 inputs, found 0", linnet_graph_run(graph, "main", NULL, 0, NULL, 0, &all));
  BAD("entry: ", linnet_graph_run(graph, NULL, inputs, 1, NULL, 0, &all));
  BAD("inputs: ", linnet_graph_run(graph, "main", NULL, 1, NULL, 0, &all));
  BAD("outputs: ", linnet_graph_run(graph, "main", inputs, 1, NULL, 1, &all));
  outputs[0] = "z";
  ERROR("z", linnet_graph_run(graph, "main", inputs, 1, outputs, 1, &all));
  outputs[0] = NULL;
  BAD("outputs: ", linnet_graph_run(graph, "main", inputs, 1, outputs, 1, &all));
#define REFUSED(status, text, field, value)                                                                  \
  do {                                                                                                       \
    linnet_tensor wrong = x;                                                                                 \
    wrong.field = value;                                                                                     \
    inputs[0] = &wrong;                                                                                      \
    FAILS(status, text, linnet_graph_run(graph, "main", inputs, 1, NULL, 0, &all));                          \
  } while (0)
  REFUSED(LINNET_BAD_ARGUMENT, "inputs: expected a type", type, 9);
  REFUSED(LINNET_BAD_ARGUMENT, "inputs: expected a rank", rank, -1);
  REFUSED(LINNET_BAD_ARGUMENT, "name: ", name, NULL);
  REFUSED(LINNET_BAD_ARGUMENT, "shape: ", shape, NULL);
  REFUSED(LINNET_BAD_ARGUMENT, "bytes: ", bytes, NULL);
  REFUSED(LINNET_BAD_ARGUMENT, "inputs: expected struct_size", struct_size, 2);
  REFUSED(LINNET_ERROR, "'x'", type, LINNET_I32);
  REFUSED(LINNET_ERROR, "'x'", rank, 1);
  REFUSED(LINNET_ERROR, "'x'", name, "w");
  REFUSED(LINNET_ERROR, "x", byte_count, 4);
  inputs[0] = NULL;
  BAD("inputs: ", linnet_graph_run(graph, "main", inputs, 1, NULL, 0, &all));
  LINNET_STRUCT(linnet_memory_use, memory);
  SUCCEEDS(linnet_graph_memory(graph, &memory));
  CHECK(memory.arena > 0);
  linnet_graph_free(graph);
}

static float counted(linnet_graph *graph) {
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_tensor, tensor);
  SUCCEEDS(linnet_graph_run(graph, "main", NULL, 0, NULL, 0, &result));
  SUCCEEDS(linnet_result_tensor(result, 0, &tensor));
  float value = *(const float *)tensor.bytes;
  linnet_result_free(result);
  return value;
}

static void testCounter(const char *path) {
  LINNET_STRUCT(linnet_load_options, options);
  options.device = "cpu";
  options.threads = 1;
  linnet_graph *graph = NULL;
  SUCCEEDS(linnet_graph_load(path, &options, &graph));
  LINNET_STRUCT(linnet_port, port);
  SUCCEEDS(linnet_graph_state(graph, 0, &port));
  CHECK(counted(graph) == 1);
  CHECK(counted(graph) == 2);
  linnet_result *result = NULL;
  LINNET_STRUCT(linnet_tensor, state);
  SUCCEEDS(linnet_graph_read_state(graph, port.name, &result));
  SUCCEEDS(linnet_result_tensor(result, 0, &state));
  CHECK(strcmp(state.name, port.name) == 0 && state.byte_count == sizeof(float));
  CHECK(*(const float *)state.bytes == 2);
  linnet_result_free(result);
  const float forty = 40;
  SUCCEEDS(linnet_graph_write_state(graph, port.name, &forty, sizeof forty));
  CHECK(counted(graph) == 41);
  SUCCEEDS(linnet_graph_reset_states(graph));
  CHECK(counted(graph) == 1);
  ERROR("none", linnet_graph_read_state(graph, "none", &result));
  ERROR("none", linnet_graph_write_state(graph, "none", &forty, sizeof forty));
  ERROR(port.name, linnet_graph_write_state(graph, port.name, &forty, 1));
  BAD("name: ", linnet_graph_read_state(graph, NULL, &result));
  BAD("name: ", linnet_graph_write_state(graph, NULL, &forty, sizeof forty));
  BAD("bytes: ", linnet_graph_write_state(graph, port.name, NULL, sizeof forty));
  linnet_graph_free(graph);
}

int testGraph(const char *chain, const char *counter) {
  testNullGraph();
  linnet_graph *graph = NULL;
  ERROR("/nonexistent: cannot open", linnet_graph_load("/nonexistent", NULL, &graph));
  testChain(chain);
  testCounter(counter);
  return takeFailures();
}
