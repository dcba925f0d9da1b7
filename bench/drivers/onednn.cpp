// Measures oneDNN at each matmul of a GPT-2 block and its head. Prints operations per second (a multiply-add
// is two) as one JSON object. Weights have the library's preferred layout; figures are medians of repeated
// runs. If the library has no primitive for this processor, ops_per_s is null.
//
//   bench_onednn THREADS HIDDEN VOCABULARY ROWS...
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <omp.h>
#include <string>
#include <vector>

namespace {

using dnnl::memory;
using Type = memory::data_type;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Reached {
  double rate = 0;
  std::string implementation;
};

/// Throws dnnl::error with dnnl_unimplemented if the library has no primitive for the types on this
/// processor.
Reached measure(dnnl::engine &engine, dnnl::stream &stream, int64_t m, int64_t k, int64_t n, Type a, Type b,
                Type c) {
  memory::desc left({m, k}, a, memory::format_tag::ab), out({m, n}, c, memory::format_tag::ab),
      any({k, n}, b, memory::format_tag::any);
#if DNNL_VERSION_MAJOR >= 3
  dnnl::matmul::primitive_desc chosen(engine, left, any, out);
#else
  dnnl::matmul::primitive_desc chosen(dnnl::matmul::desc(left, any, out), engine);
#endif
  dnnl::matmul matmul(chosen);
  memory x(left, engine), w(chosen.weights_desc(), engine), y(out, engine);
  for (memory *each : {&x, &w, &y}) std::memset(each->get_data_handle(), 0, each->get_desc().get_size());
  auto once = [&] {
    matmul.execute(stream, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
    stream.wait();
  };
  once();
  std::vector<double> seconds;
  double end = now() + 0.1;
  while (seconds.size() < 5 || (now() < end && seconds.size() < 1000)) {
    double begin = now();
    once();
    seconds.push_back(now() - begin);
  }
  std::sort(seconds.begin(), seconds.end());
  double operations = 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  return {operations / seconds[seconds.size() / 2], chosen.impl_info_str()};
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_onednn THREADS HIDDEN VOCABULARY ROWS...\n");
    return 2;
  }
  omp_set_num_threads(std::atoi(argv[1]));
  int64_t hidden = std::atoll(argv[2]), vocabulary = std::atoll(argv[3]);
  struct Shape {
    const char *name;
    int64_t k, n;
  } shapes[] = {{"c_attn", hidden, 3 * hidden},
                {"attn.c_proj", hidden, hidden},
                {"c_fc", hidden, 4 * hidden},
                {"mlp.c_proj", 4 * hidden, hidden},
                {"lm_head", hidden, vocabulary}};
  struct Kind {
    const char *name;
    Type a, b, c;
  } kinds[] = {{"f32", Type::f32, Type::f32, Type::f32},
               {"bf16", Type::bf16, Type::bf16, Type::f32},
               {"int8", Type::u8, Type::s8, Type::f32}};
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const dnnl_version_t *version = dnnl_version();
  std::printf("{\"version\": \"%d.%d.%d\", \"matmuls\": [", version->major, version->minor, version->patch);
  const char *comma = "";
  for (int i = 4; i < argc; ++i)
    for (const Kind &kind : kinds)
      for (const Shape &shape : shapes) {
        int64_t m = std::atoll(argv[i]);
        std::printf("%s\n {\"dtype\": \"%s\", \"shape\": \"%s\", \"m\": %lld, \"k\": %lld, \"n\": %lld, ",
                    comma, kind.name, shape.name, static_cast<long long>(m), static_cast<long long>(shape.k),
                    static_cast<long long>(shape.n));
        try {
          Reached reached = measure(engine, stream, m, shape.k, shape.n, kind.a, kind.b, kind.c);
          std::printf("\"ops_per_s\": %.5g, \"implementation\": \"%s\"}", reached.rate,
                      reached.implementation.c_str());
        } catch (const dnnl::error &error) {
          if (error.status != dnnl_unimplemented) throw;
          std::printf("\"ops_per_s\": null, \"implementation\": \"\"}");
        }
        comma = ",";
      }
  std::printf("\n]}\n");
}
