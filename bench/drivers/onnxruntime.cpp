// ONNX Runtime for bench/compare (serve.h) through its C API, with the graph of onnx_graph.py. The cache is
// one buffer for the keys and one for the values of each layer; a run reads it and appends in place.
//
//   onnxruntime LIBRARY MODEL.onnx THREADS BATCH CONTEXT LAYERS HEADS HEAD_SIZE VOCABULARY
//
// No package has the C headers, so the functions are declared by their index in OrtApi's table. Indices of a
// published version never change. GetApi for version 16 fails in an older library.
#include "serve.h"

#include <cstdlib>
#include <dlfcn.h>
#include <memory>

namespace {

using bench::now;

struct Opaque;
using Status = Opaque *;
constexpr uint32_t kApiVersion = 16;
enum Place : int {
  kGetErrorMessage = 2,
  kCreateEnv = 3,
  kCreateSession = 7,
  kRun = 9,
  kCreateSessionOptions = 10,
  kSetSessionGraphOptimizationLevel = 23,
  kSetIntraOpNumThreads = 24,
  kSetInterOpNumThreads = 25,
  kCreateTensorWithDataAsOrtValue = 49,
  kCreateCpuMemoryInfo = 69,
  kReleaseValue = 96,
};
enum Element : int { kFloat = 1, kInt32 = 6, kInt64 = 7 };

struct ApiBase {
  void *const *(*GetApi)(uint32_t);
  const char *(*GetVersionString)();
};

class OnnxRuntime final : public bench::Peer {
public:
  struct Shape {
    int64_t batch, context, layers, heads, head_size, vocabulary;
  };
  OnnxRuntime(const char *library, const char *model, int threads, Shape s) : shape(s) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) throw std::runtime_error(dlerror());
    auto base = reinterpret_cast<const ApiBase *(*)()>(dlsym(handle, "OrtGetApiBase"));
    if (!base) throw std::runtime_error(std::string(library) + " has no OrtGetApiBase");
    name = std::string("onnxruntime ") + base()->GetVersionString();
    table = base()->GetApi(kApiVersion);
    if (!table) throw std::runtime_error(name + " has no API of version 16");
    Opaque *environment = nullptr, *options = nullptr;
    constexpr int kErrorsOnly = 3, kAllOptimizations = 99, kArena = 1, kDefaultMemory = 0;
    call<int, const char *, Opaque **>(kCreateEnv, kErrorsOnly, "bench", &environment);
    call<Opaque **>(kCreateSessionOptions, &options);
    call<Opaque *, int>(kSetSessionGraphOptimizationLevel, options, kAllOptimizations);
    call<Opaque *, int>(kSetIntraOpNumThreads, options, threads);
    call<Opaque *, int>(kSetInterOpNumThreads, options, 1);
    call<Opaque *, const char *, Opaque *, Opaque **>(kCreateSession, environment, model, options, &session);
    call<int, int, Opaque **>(kCreateCpuMemoryInfo, kArena, kDefaultMemory, &memory);
    names.push_back("ids");
    names.push_back("positions");
    names.push_back("seqlens");
    names.push_back("total");
    for (int64_t i = 0; i < shape.layers; ++i)
      for (const char *which : {"key", "value"}) names.push_back("past." + std::to_string(i) + "." + which);
    results.push_back("logits");
    for (int64_t i = 0; i < shape.layers; ++i)
      for (const char *which : {"key", "value"})
        results.push_back("present." + std::to_string(i) + "." + which);
  }
  std::string version() const override { return name; }

  double prefill(int64_t tokens, int64_t batch) override {
    std::vector<int64_t> ids = repeated(bench::randomIds(tokens, shape.vocabulary), batch);
    double begin = now();
    step(ids, batch, 0);
    return now() - begin;
  }
  double decode(int64_t past, int64_t count, int64_t batch) override {
    std::vector<int64_t> next = step(repeated(bench::randomIds(past, shape.vocabulary), batch), batch, 0);
    double begin = now();
    for (int64_t i = 0; i < count; ++i) next = step(next, batch, past + i);
    return now() - begin;
  }
  std::vector<float> logits(const std::vector<int32_t> &ids) override {
    step(repeated(ids, 1), 1, 0);
    return out;
  }

private:
  template <typename... Types> void call(Place place, Types... arguments) {
    Status status = reinterpret_cast<Status (*)(Types...)>(table[place])(arguments...);
    if (status)
      throw std::runtime_error(name + ": " +
                               reinterpret_cast<const char *(*)(Status)>(table[kGetErrorMessage])(status));
  }
  template <typename T> Opaque *tensor(std::vector<T> &data, std::vector<int64_t> dims, Element type) {
    Opaque *value = nullptr;
    call<Opaque *, void *, size_t, const int64_t *, size_t, int, Opaque **>(
        kCreateTensorWithDataAsOrtValue, memory, data.data(), data.size() * sizeof(T), dims.data(),
        dims.size(), type, &value);
    return value;
  }
  void release(Opaque *value) { reinterpret_cast<void (*)(Opaque *)>(table[kReleaseValue])(value); }
  static std::vector<int64_t> repeated(const std::vector<int32_t> &ids, int64_t batch) {
    std::vector<int64_t> all;
    for (int64_t b = 0; b < batch; ++b) all.insert(all.end(), ids.begin(), ids.end());
    return all;
  }
  /// Allocates the cache's buffers for `batch` sequences, if the batch changes.
  void reserve(int64_t batch) {
    if (batch == reserved) return;
    if (batch > shape.batch) throw std::runtime_error("a batch larger than announced");
    for (Opaque *value : cache) release(value);
    cache.clear();
    buffers.assign(static_cast<size_t>(2 * shape.layers), {});
    for (auto &buffer : buffers) {
      buffer.resize(static_cast<size_t>(batch * shape.heads * shape.context * shape.head_size));
      cache.push_back(tensor(buffer, {batch, shape.heads, shape.context, shape.head_size}, kFloat));
    }
    reserved = batch;
  }
  /// Runs ids [batch, n] after `past` tokens. Returns the likeliest next token of each sequence.
  std::vector<int64_t> step(std::vector<int64_t> ids, int64_t batch, int64_t past) {
    reserve(batch);
    int64_t count = static_cast<int64_t>(ids.size()) / batch;
    std::vector<int64_t> positions;
    for (int64_t i = 0; i < count; ++i) positions.push_back(past + i);
    std::vector<int32_t> last(static_cast<size_t>(batch), static_cast<int32_t>(past + count - 1)),
        total{static_cast<int32_t>(past + count)};
    out.resize(static_cast<size_t>(batch * shape.vocabulary));
    std::vector<Opaque *> inputs{tensor(ids, {batch, count}, kInt64), tensor(positions, {1, count}, kInt64),
                                 tensor(last, {batch}, kInt32), tensor(total, {1}, kInt32)},
        outputs{tensor(out, {batch, shape.vocabulary}, kFloat)};
    size_t own = inputs.size();
    inputs.insert(inputs.end(), cache.begin(), cache.end());
    outputs.insert(outputs.end(), cache.begin(), cache.end());
    std::vector<const char *> from, to;
    for (const std::string &each : names) from.push_back(each.c_str());
    for (const std::string &each : results) to.push_back(each.c_str());
    call<Opaque *, Opaque *, const char *const *, Opaque *const *, size_t, const char *const *, size_t,
         Opaque **>(kRun, session, nullptr, from.data(), inputs.data(), inputs.size(), to.data(), to.size(),
                    outputs.data());
    for (size_t i = 0; i < own; ++i) release(inputs[i]);
    release(outputs[0]);
    std::vector<int64_t> next;
    for (int64_t b = 0; b < batch; ++b)
      next.push_back(bench::argmax(out.data() + b * shape.vocabulary, shape.vocabulary));
    return next;
  }

  Shape shape;
  std::string name;
  void *const *table = nullptr;
  Opaque *session = nullptr, *memory = nullptr;
  std::vector<std::string> names, results;
  int64_t reserved = 0;
  std::vector<std::vector<float>> buffers;
  std::vector<Opaque *> cache;
  std::vector<float> out;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 10) {
    std::fprintf(
        stderr, "usage: onnxruntime LIBRARY MODEL THREADS BATCH CONTEXT LAYERS HEADS HEAD_SIZE VOCABULARY\n");
    return 2;
  }
  auto number = [&](int i) { return std::atoll(argv[i]); };
  return bench::serveOrFail("onnxruntime", [&] {
    return std::make_unique<OnnxRuntime>(
        argv[1], argv[2], std::atoi(argv[3]),
        OnnxRuntime::Shape{number(4), number(5), number(6), number(7), number(8), number(9)});
  });
}
