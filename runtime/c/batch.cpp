// Batches of linnet/c.h.
#include "runtime/c/handles.h"

struct linnet_batch {
  linnet::Batch batch;
  std::span<const linnet::BatchEvent> events = {};
  std::vector<std::vector<linnet_token_logprob>> tops = {}; // by event
};

namespace linnet::c {

static BatchRequest readRequest(const linnet_batch_request *given) {
  linnet_batch_request request = {};
  readOptions(&required(given, "request"), request, "request");
  const auto prompt = array(request.prompt, request.prompt_count, "prompt");
  BatchRequest out;
  out.prompt.assign(prompt.begin(), prompt.end());
  out.options = readGenerateOptions(request.options);
  out.copy = request.copy;
  if (request.logprobs && request.top_logprobs < 0) // the C++ interface takes it as "no log probabilities"
    throw BadArgument{fmt::format("top_logprobs: expected 0 or more, found {}", request.top_logprobs)};
  if (request.logprobs) out.top_logprobs = request.top_logprobs;
  return out;
}

static linnet_batch_event asStruct(const BatchEvent &event, const std::vector<linnet_token_logprob> &top) {
  int32_t reason = LINNET_NOT_FINISHED;
  if (event.finished) reason = static_cast<int32_t>(*event.finished) + LINNET_FINISH_LENGTH;
  if (event.error) reason = LINNET_FINISH_FAILED;
  return {.struct_size = 0,
          .number = event.number,
          .id = event.id,
          .finish_reason = reason,
          .text = event.text.c_str(),
          .text_size = event.text.size(),
          .top = top.data(),
          .top_count = top.size(),
          .error = event.error ? event.error->message.c_str() : "",
          .logprob = event.logprob,
          .reserved = 0};
}

} // namespace linnet::c

using namespace linnet;
using namespace linnet::c;

linnet_status linnet_batch_open(const linnet_model *model, const linnet_batch_options *options,
                                linnet_batch **batch) {
  return guarded([&]() -> Result<void> {
    required(batch, "batch") = nullptr;
    linnet_batch_options given = {};
    readOptions(options, given, "options");
    LINNET_ASSIGN(Batch opened, Batch::open(required(model, "model").model,
                                            {.rows = given.rows, .prompt_chunk = given.prompt_chunk}));
    *batch = new linnet_batch{std::move(opened)};
    return {};
  });
}

void linnet_batch_free(linnet_batch *batch) { delete batch; }

linnet_status linnet_batch_add(linnet_batch *batch, const linnet_batch_request *request, int64_t *number) {
  return guarded([&]() -> Result<void> {
    required(number, "number");
    LINNET_ASSIGN(*number, required(batch, "batch").batch.add(readRequest(request)));
    return {};
  });
}

linnet_status linnet_batch_remove(linnet_batch *batch, int64_t number) {
  return guarded([&]() -> Result<void> {
    required(batch, "batch").batch.remove(number);
    return {};
  });
}

linnet_status linnet_batch_step(linnet_batch *batch, size_t *events) {
  return guarded([&]() -> Result<void> {
    required(events, "events") = 0;
    required(batch, "batch").events = {};
    LINNET_ASSIGN(const auto found, batch->batch.step());
    batch->tops.assign(found.size(), {});
    for (size_t i = 0; i < found.size(); ++i)
      for (const auto &[id, logprob] : found[i].top) batch->tops[i].push_back({id, logprob});
    batch->events = found;
    *events = found.size();
    return {};
  });
}

linnet_status linnet_batch_get_event(const linnet_batch *batch, size_t index, linnet_batch_event *event) {
  return guarded([&]() -> Result<void> {
    const BatchEvent &found = element(required(batch, "batch").events, index, "index");
    writeStruct(event, asStruct(found, batch->tops[index]), "event");
    return {};
  });
}

linnet_status linnet_batch_get_counts(const linnet_batch *batch, linnet_batch_counts *counts) {
  return guarded([&]() -> Result<void> {
    const BatchCounts found = required(batch, "batch").batch.counts();
    writeStruct(counts,
                {.struct_size = 0,
                 .rows = found.rows,
                 .running = found.running,
                 .steps = found.steps,
                 .prompt_tokens = found.prompt_tokens,
                 .shared_tokens = found.shared_tokens,
                 .generated_tokens = found.generated_tokens,
                 .cached_tokens = found.cached_tokens,
                 .evicted_tokens = found.evicted_tokens},
                "counts");
    return {};
  });
}

linnet_status linnet_batch_memory(const linnet_batch *batch, linnet_memory_use *memory) {
  return guarded([&]() -> Result<void> {
    writeMemory(memory, required(batch, "batch").batch.memory());
    return {};
  });
}
