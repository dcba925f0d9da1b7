// Linnet for bench/compare (serve.h), through the public library.
//
//   bench_linnet MODEL.linnet THREADS
#include "linnet/linnet.h"
#include "measure/throughput.h"
#include "serve.h"

#include <cstdlib>
#include <memory>

namespace {

using namespace linnet;

class Linnet final : public bench::Peer {
public:
  Linnet(const char *file, int threads)
      : model(taken(Model::load(file, {.threads = threads}))), session(taken(Session::open(model))) {}
  std::string version() const override {
    return std::string("linnet ") + linnet::version() + ": " + model.device();
  }
  double prefill(int64_t tokens, int64_t batch) override {
    return static_cast<double>(tokens * batch) / rate({.prompt = tokens, .generated = 0, .batch = batch});
  }
  double decode(int64_t past, int64_t count, int64_t batch) override {
    return static_cast<double>(count * batch) /
           rate({.prompt = 0, .generated = count, .batch = batch, .past = past});
  }
  std::vector<float> logits(const std::vector<int32_t> &ids) override {
    return taken(session.logits(ids)).values;
  }

private:
  template <typename T> static T taken(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
  }
  double rate(const measure::Test &test) {
    if (auto fits = measure::checkBounds(model.config(), {test}); !fits)
      throw std::runtime_error(fits.error().message);
    return taken(measure::once(session, model.config(), test));
  }

  Model model;
  Session session;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_linnet MODEL.linnet THREADS\n");
    return 2;
  }
  return bench::serveOrFail("bench_linnet",
                            [&] { return std::make_unique<Linnet>(argv[1], std::atoi(argv[2])); });
}
