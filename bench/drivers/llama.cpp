// llama.cpp for bench/compare (serve.h), which builds it against the library of the same sources.
//
//   llama MODEL.gguf THREADS BATCH CONTEXT [BACKENDS]
//       BACKENDS: a folder of llama.cpp's libraries; the model runs on their GPU.
//   llama --quantize IN.gguf OUT.gguf bf16|f16|q8_0|q4_0|q4_1
//       Writes every matrix in that type, token embedding included.
//   llama --tokenize MODEL.gguf FILE...
//       Prints the ids of each file's text, as a JSON array on a line. Names of special tokens become these tokens.
//   llama --perplexity MODEL.gguf THREADS CONTEXT STRIDE IDS
//       Prints the perplexity of the ids in the file IDS as a JSON object. Windows of CONTEXT ids start every
//       STRIDE ids, and each id is predicted once, as `linnet eval` does.
#include "llama.h"
#include "ggml-backend.h"
#include "serve.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <memory>

namespace {

using bench::now;

/// The GPUs of a folder's backends. Without this check, llama.cpp would silently compute on the CPU if there
/// is none.
std::string devicesOf(const char *backends) {
  ggml_backend_load_all_from_path(backends);
  std::string names;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    enum ggml_backend_dev_type type = ggml_backend_dev_type(device);
    if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU)
      names += std::string(names.empty() ? "" : ", ") + ggml_backend_dev_description(device);
  }
  if (names.empty())
    throw std::runtime_error(std::string("no GPU that the backends in ") + backends + " can use");
  return names;
}

class Llama final : public bench::Peer {
public:
  Llama(const char *file, int threads, int sequences, int positions, const char *backends) {
    llama_model_params how = llama_model_default_params();
    how.n_gpu_layers = backends ? 999 : 0;
    if (backends) devices = devicesOf(backends);
    model = llama_model_load_from_file(file, how);
    if (!model) throw std::runtime_error(std::string("cannot load ") + file);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(positions * sequences);
    params.n_seq_max = static_cast<uint32_t>(sequences);
    params.n_batch = std::max<uint32_t>(2048, static_cast<uint32_t>(sequences) * 64);
    params.n_threads = params.n_threads_batch = threads;
    context = llama_init_from_model(model, params);
    if (!context) throw std::runtime_error("cannot make a context");
    vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    capacity = static_cast<int32_t>(params.n_batch);
    batch = llama_batch_init(capacity, 0, 1);
  }
  ~Llama() override {
    llama_batch_free(batch);
    llama_free(context);
    llama_model_free(model);
  }
  std::string version() const override {
    return std::string("llama.cpp ") + llama_version() + ": " +
           (devices.empty() ? llama_print_system_info() : devices);
  }

  double prefill(int64_t tokens, int64_t sequences) override {
    double begin = now();
    run(bench::randomIds(tokens, vocabulary), sequences);
    return now() - begin;
  }
  double decode(int64_t past, int64_t count, int64_t sequences) override {
    std::vector<int32_t> next = run(bench::randomIds(past, vocabulary), sequences);
    double begin = now();
    for (int64_t i = 0; i < count; ++i) {
      batch.n_tokens = 0;
      for (int64_t s = 0; s < sequences; ++s)
        add(next[static_cast<size_t>(s)], static_cast<int32_t>(past + i), static_cast<int32_t>(s), true);
      next = step(sequences);
    }
    return now() - begin;
  }
  std::vector<float> logits(const std::vector<int32_t> &ids) override {
    run(ids, 1);
    const float *values = llama_get_logits_ith(context, -1);
    return {values, values + vocabulary};
  }
  /// The sum of -log p of the ids from `first` on, which is at least 1, each predicted from the ids before it.
  double lossFrom(const std::vector<int32_t> &ids, size_t first) {
    llama_memory_clear(llama_get_memory(context), false);
    batch.n_tokens = 0;
    for (size_t i = 0; i < ids.size(); ++i)
      add(ids[i], static_cast<int32_t>(i), 0, i + 1 >= first && i + 1 < ids.size());
    if (llama_decode(context, batch) != 0) throw std::runtime_error("llama_decode failed");
    double loss = 0;
    for (size_t i = first; i < ids.size(); ++i) {
      const float *row = llama_get_logits_ith(context, static_cast<int32_t>(i - 1));
      const double largest = *std::max_element(row, row + vocabulary);
      double sum = 0;
      for (int32_t v = 0; v < vocabulary; ++v) sum += std::exp(row[v] - largest);
      loss += largest + std::log(sum) - row[ids[i]];
    }
    return loss;
  }

private:
  void add(int32_t id, int32_t position, int32_t sequence, bool wanted) {
    int32_t i = batch.n_tokens++;
    batch.token[i] = id;
    batch.pos[i] = position;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = sequence;
    batch.logits[i] = wanted;
  }
  /// The likeliest next token of each sequence of the batch.
  std::vector<int32_t> step(int64_t sequences) {
    if (llama_decode(context, batch) != 0) throw std::runtime_error("llama_decode failed");
    std::vector<int32_t> next;
    for (int32_t i = 0; i < batch.n_tokens; ++i)
      if (batch.logits[i]) next.push_back(bench::argmax(llama_get_logits_ith(context, i), vocabulary));
    if (static_cast<int64_t>(next.size()) != sequences) throw std::runtime_error("a sequence gave no logits");
    return next;
  }
  /// Processes the same prompt in every sequence, from an empty cache.
  std::vector<int32_t> run(const std::vector<int32_t> &ids, int64_t sequences) {
    auto length = static_cast<int64_t>(ids.size());
    llama_memory_clear(llama_get_memory(context), false);
    std::vector<int32_t> next;
    int64_t at_once = std::max<int64_t>(1, capacity / length);
    if (length > capacity) throw std::runtime_error("the prompt is longer than a batch");
    for (int64_t first = 0; first < sequences; first += at_once) {
      int64_t end = std::min(sequences, first + at_once);
      batch.n_tokens = 0;
      for (int64_t s = first; s < end; ++s)
        for (int64_t i = 0; i < length; ++i)
          add(ids[static_cast<size_t>(i)], static_cast<int32_t>(i), static_cast<int32_t>(s), i + 1 == length);
      for (int32_t id : step(end - first)) next.push_back(id);
    }
    return next;
  }

  llama_model *model = nullptr;
  llama_context *context = nullptr;
  llama_batch batch{};
  std::string devices;
  int32_t vocabulary = 0, capacity = 0;
};

int quantize(const char *from, const char *to, const std::string &type) {
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.pure = true;
  if (type == "bf16")
    params.ftype = LLAMA_FTYPE_MOSTLY_BF16, params.token_embedding_type = GGML_TYPE_BF16;
  else if (type == "f16")
    params.ftype = LLAMA_FTYPE_MOSTLY_F16, params.token_embedding_type = GGML_TYPE_F16;
  else if (type == "q8_0")
    params.ftype = LLAMA_FTYPE_MOSTLY_Q8_0, params.token_embedding_type = GGML_TYPE_Q8_0;
  else if (type == "q4_0")
    params.ftype = LLAMA_FTYPE_MOSTLY_Q4_0, params.token_embedding_type = GGML_TYPE_Q4_0;
  else if (type == "q4_1")
    params.ftype = LLAMA_FTYPE_MOSTLY_Q4_1, params.token_embedding_type = GGML_TYPE_Q4_1;
  else {
    std::fprintf(stderr, "llama: no type %s: bf16, f16, q8_0, q4_0, q4_1\n", type.c_str());
    return 2;
  }
  return llama_model_quantize(from, to, &params) == 0 ? 0 : 1;
}

int tokenize(const char *file, char **paths, int count) {
  llama_model_params how = llama_model_default_params();
  how.vocab_only = true;
  llama_model *model = llama_model_load_from_file(file, how);
  if (!model) throw std::runtime_error(std::string("cannot load ") + file);
  for (int p = 0; p < count; ++p) {
    std::ifstream in(paths[p], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in) throw std::runtime_error(std::string("cannot read ") + paths[p]);
    constexpr size_t kAdded = 16; // more than the tokens that a model adds at the ends
    std::vector<llama_token> ids(text.size() + kAdded);
    const int found =
        llama_tokenize(llama_model_get_vocab(model), text.data(), static_cast<int32_t>(text.size()),
                       ids.data(), static_cast<int32_t>(ids.size()), /*add_special=*/true,
                       /*parse_special=*/true);
    if (found < 0) throw std::runtime_error("llama_tokenize failed");
    std::string line;
    for (int i = 0; i < found; ++i) line += (i ? ", " : "") + std::to_string(ids[static_cast<size_t>(i)]);
    std::printf("[%s]\n", line.c_str());
  }
  llama_model_free(model);
  return 0;
}

int perplexity(const char *file, int threads, size_t length, size_t stride, const char *path) {
  std::ifstream in(path);
  const std::vector<int32_t> ids{std::istream_iterator<int32_t>(in), {}};
  if (ids.size() < 2) throw std::runtime_error(std::string(path) + ": expected at least two ids");
  Llama llama(file, threads, 1, static_cast<int>(length), nullptr);
  double loss = 0;
  size_t predicted = 0, done = 0;
  for (size_t begin = 0; done < ids.size(); begin += stride) {
    const size_t end = std::min(begin + length, ids.size()), first = std::max(done, begin + 1);
    const auto at = ids.begin() + static_cast<ptrdiff_t>(begin);
    if (first < end) {
      loss += llama.lossFrom({at, ids.begin() + static_cast<ptrdiff_t>(end)}, first - begin);
      predicted += end - first;
    }
    done = end;
  }
  std::printf("{\"perplexity\": %.9g, \"predicted\": %zu}\n", std::exp(loss / static_cast<double>(predicted)),
              predicted);
  return 0;
}

/// One of the commands above that ends by itself, or -1.
int runOnce(int argc, char **argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "--quantize" && argc == 5) return quantize(argv[2], argv[3], argv[4]);
  if (what == "--tokenize" && argc > 3) return tokenize(argv[2], argv + 3, argc - 3);
  if (what == "--perplexity" && argc == 7)
    return perplexity(argv[2], std::atoi(argv[3]), static_cast<size_t>(std::atoll(argv[4])),
                      static_cast<size_t>(std::atoll(argv[5])), argv[6]);
  return -1;
}

} // namespace

int main(int argc, char **argv) {
  llama_log_set(
      [](ggml_log_level level, const char *text, void *) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  try {
    if (const int code = runOnce(argc, argv); code >= 0) return code;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "llama: %s\n", error.what());
    return 1;
  }
  if (argc != 5 && argc != 6) {
    std::fprintf(stderr,
                 "usage: llama MODEL.gguf THREADS BATCH CONTEXT [BACKENDS] | --quantize IN OUT TYPE | "
                 "--tokenize MODEL.gguf FILE... | --perplexity MODEL.gguf THREADS CONTEXT STRIDE IDS\n");
    return 2;
  }
  return bench::serveOrFail("llama", [&] {
    return std::make_unique<Llama>(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]),
                                   argc == 6 ? argv[5] : nullptr);
  });
}
