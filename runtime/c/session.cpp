// Generation options and sessions of linnet/c.h.
#include "runtime/c/handles.h"

namespace linnet::c {

linnet_generate_options asStruct(const GenerateOptions &options) {
  return {.struct_size = 0,
          .max_new_tokens = options.max_new_tokens,
          .top_k = options.top_k,
          .seed = options.seed,
          .do_sample = options.do_sample,
          .ignore_eos = options.ignore_eos,
          .temperature = options.temperature,
          .top_p = options.top_p,
          .repetition_penalty = options.repetition_penalty,
          .frequency_penalty = options.frequency_penalty,
          .presence_penalty = options.presence_penalty,
          .reserved = 0,
          .logit_bias = nullptr,
          .logit_bias_count = 0,
          .stop = nullptr,
          .stop_count = 0,
          .eos_ids = nullptr,
          .eos_id_count = 0,
          .on_logits = nullptr,
          .on_logits_user = nullptr};
}

GenerateOptions readGenerateOptions(const linnet_generate_options *given) {
  linnet_generate_options all = asStruct(GenerateOptions());
  readOptions(given, all, "options");
  GenerateOptions options;
  // Names every field, so that a new one does not compile until it is read here.
  auto &[max_new_tokens, do_sample, temperature, top_k, top_p, repetition_penalty, logit_bias,
         frequency_penalty, presence_penalty, seed, stop, eos_ids, ignore_eos, on_logits] = options;
  max_new_tokens = all.max_new_tokens;
  do_sample = all.do_sample != 0;
  temperature = all.temperature;
  top_k = all.top_k;
  top_p = all.top_p;
  repetition_penalty = all.repetition_penalty;
  frequency_penalty = all.frequency_penalty;
  presence_penalty = all.presence_penalty;
  seed = all.seed;
  ignore_eos = all.ignore_eos != 0;
  for (const linnet_token_bias &one : array(all.logit_bias, all.logit_bias_count, "logit_bias"))
    logit_bias.emplace_back(one.id, one.bias);
  for (const char *text : array(all.stop, all.stop_count, "stop")) stop.emplace_back(&required(text, "stop"));
  const auto ends = array(all.eos_ids, all.eos_id_count, "eos_ids");
  eos_ids.assign(ends.begin(), ends.end());
  if (all.on_logits)
    on_logits = [call = all.on_logits, user = all.on_logits_user](
                    int64_t sequence, std::span<const TokenId> ids, std::span<float> logits) {
      return call(user, sequence, ids.data(), ids.size(), logits.data(), logits.size()) == 0;
    };
  return options;
}

std::vector<std::vector<TokenId>> readTexts(const int32_t *const *texts, const size_t *counts, size_t count,
                                            const char *name) {
  const auto rows = array(texts, count, name);
  const auto sizes = array(counts, count, "counts");
  std::vector<std::vector<TokenId>> list;
  for (size_t i = 0; i < count; ++i) {
    const auto ids = array(rows[i], sizes[i], name);
    list.emplace_back(ids.begin(), ids.end());
  }
  return list;
}

static Session &sessionOf(linnet_session *session) { return required(session, "session").session; }

/// NULL gives no callback.
static Session::BatchCallback callbackOf(linnet_token_callback callback, void *user) {
  if (!callback) return {};
  return [callback, user](int64_t sequence, TokenId id, std::string_view text) {
    const std::string terminated(text);
    return callback(user, sequence, id, terminated.c_str(), terminated.size()) == 0;
  };
}

static Pooling poolingOf(int32_t pooling) {
  if (pooling < LINNET_POOL_LAST || pooling > LINNET_POOL_FIRST)
    throw BadArgument{fmt::format("pooling: expected LINNET_POOL_LAST, MEAN or FIRST, found {}", pooling)};
  return static_cast<Pooling>(pooling);
}

} // namespace linnet::c

using namespace linnet;
using namespace linnet::c;

static_assert(static_cast<int>(Pooling::Mean) == LINNET_POOL_MEAN);
static_assert(static_cast<int>(Pooling::First) == LINNET_POOL_FIRST);

linnet_status linnet_generate_options_init(linnet_generate_options *options, size_t struct_size) {
  return guarded([&]() -> Result<void> {
    required(options, "options").struct_size = struct_size;
    writeStruct(options, asStruct(GenerateOptions()), "options");
    return {};
  });
}

linnet_status linnet_session_open(const linnet_model *model, linnet_session **session) {
  return guarded([&]() -> Result<void> {
    required(session, "session") = nullptr;
    LINNET_ASSIGN(Session opened, Session::open(required(model, "model").model));
    *session = new linnet_session{std::move(opened)};
    return {};
  });
}

linnet_status linnet_session_fork(linnet_session *session, linnet_session **fork) {
  return guarded([&]() -> Result<void> {
    required(fork, "fork") = nullptr;
    LINNET_ASSIGN(Session made, sessionOf(session).fork());
    *fork = new linnet_session{std::move(made)};
    return {};
  });
}

void linnet_session_free(linnet_session *session) { delete session; }

linnet_status linnet_session_generate(linnet_session *session, const int32_t *ids, size_t count,
                                      const linnet_generate_options *options, linnet_token_callback callback,
                                      void *user, linnet_result **result) {
  return producing(result, [&] {
    TokenCallback forward;
    if (const auto all = callbackOf(callback, user))
      forward = [all](TokenId id, std::string_view text) { return all(0, id, text); };
    return sessionOf(session).generate(array(ids, count, "ids"), readGenerateOptions(options), forward);
  });
}

linnet_status linnet_session_generate_batch(linnet_session *session, const int32_t *const *prompts,
                                            const size_t *counts, size_t prompt_count,
                                            const linnet_generate_options *options,
                                            linnet_token_callback callback, void *user,
                                            linnet_result **result) {
  return producing(result, [&] {
    return sessionOf(session).generateBatch(readTexts(prompts, counts, prompt_count, "prompts"),
                                            readGenerateOptions(options), callbackOf(callback, user));
  });
}

linnet_status linnet_session_logits(linnet_session *session, const int32_t *ids, size_t count, int32_t all,
                                    linnet_result **result) {
  return producing(result, [&] { return sessionOf(session).logits(array(ids, count, "ids"), all != 0); });
}

linnet_status linnet_session_embed(linnet_session *session, const int32_t *ids, size_t count, int32_t pooling,
                                   int64_t layer, linnet_result **result) {
  return producing(
      result, [&] { return sessionOf(session).embed(array(ids, count, "ids"), poolingOf(pooling), layer); });
}

linnet_status linnet_session_hidden_states(linnet_session *session, const int32_t *ids, size_t count,
                                           int64_t layer, linnet_result **result) {
  return producing(result, [&] { return sessionOf(session).hiddenStates(array(ids, count, "ids"), layer); });
}

linnet_status linnet_session_classify(linnet_session *session, const int32_t *const *texts,
                                      const size_t *counts, size_t text_count,
                                      linnet_progress_callback progress, void *user, linnet_result **result) {
  return producing(result, [&] {
    Session::ProgressCallback forward;
    if (progress) forward = [progress, user](double fraction) { progress(user, fraction); };
    return sessionOf(session).classify(readTexts(texts, counts, text_count, "texts"), forward);
  });
}

linnet_status linnet_session_perplexity(linnet_session *session, const int32_t *ids, size_t count,
                                        int64_t stride, linnet_perplexity *perplexity) {
  return guarded([&]() -> Result<void> {
    callersSize(required(perplexity, "perplexity"), "perplexity"); // before the long part
    LINNET_ASSIGN(const Perplexity found, sessionOf(session).perplexity(array(ids, count, "ids"), stride));
    writeStruct(perplexity,
                {.struct_size = 0, .perplexity = found.perplexity, .nll = found.nll, .tokens = found.tokens},
                "perplexity");
    return {};
  });
}

// A signal handler may call it: no message, which would need memory.
linnet_status linnet_session_cancel(linnet_session *session) {
  if (!session) return LINNET_BAD_ARGUMENT;
  session->session.cancel();
  return LINNET_OK;
}

linnet_status linnet_session_reset(linnet_session *session) {
  return guarded([&]() -> Result<void> {
    sessionOf(session).reset();
    return {};
  });
}

linnet_status linnet_session_rewind(linnet_session *session, int64_t tokens) {
  return guarded([&]() -> Result<void> {
    sessionOf(session).rewind(tokens);
    return {};
  });
}

linnet_status linnet_session_position(const linnet_session *session, int64_t *position) {
  return guarded([&]() -> Result<void> {
    required(position, "position") = required(session, "session").session.position();
    return {};
  });
}

linnet_status linnet_session_memory(const linnet_session *session, linnet_memory_use *memory) {
  return guarded([&]() -> Result<void> {
    writeMemory(memory, required(session, "session").session.memory());
    return {};
  });
}
