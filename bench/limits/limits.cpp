// Measures the limits of this machine (measure/limits.h) with a buffer as large as a model's weights.
//
//   limits [--threads N] [--mib N] [--seconds S] [--json]
//   limits --serve ...     answers each line of stdin, the name of a type ("f32"), with both current limits
//                          in JSON
//
// LINNET_CPU_ISA=LEVEL measures the instructions of a lower level.
#include "measure/limits.h"
#include "support/error.h"
#include "support/processor.h"

#include <omp.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

using namespace linnet::measure;

namespace {

int usage() {
  std::fprintf(stderr, "usage: limits [--threads N] [--mib N] [--seconds S] [--json] [--serve]\n");
  return 2;
}

/// Prints both limits for each named type, measured in `seconds`. The rate is 0 for unknown types, and for all
/// types on other processors than x86-64.
int serve(const ReadBuffer &buffer, int threads, double seconds) {
  for (std::string type; std::getline(std::cin, type);) {
    double read = readBandwidth(buffer.data(), threads, seconds), rate = 0;
    for (const Peak &which : peaks())
      if (type == which.name) rate = peakRate(which, threads, seconds);
    std::printf("{\"read_bytes_per_s\": %.5g, \"ops_per_s\": %.5g}\n", read, rate);
    std::fflush(stdout);
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  int threads = omp_get_max_threads();
  long mib = 512;
  double seconds = 1;
  bool json = false, serving = false;
  for (int i = 1; i < argc; ++i) {
    std::string option = argv[i];
    if (option == "--json" || option == "--serve") {
      (option == "--json" ? json : serving) = true;
      continue;
    }
    char *rest = nullptr;
    double value = i + 1 < argc ? std::strtod(argv[i + 1], &rest) : 0;
    if (!rest || *rest || !(value > 0)) return usage();
    ++i;
    if (option == "--threads" && value <= 1024)
      threads = static_cast<int>(value);
    else if (option == "--mib" && value <= 1 << 20)
      mib = static_cast<long>(value);
    else if (option == "--seconds" && value <= 600)
      seconds = value;
    else
      return usage();
  }
  if (linnet::Result<void> allowed = linnet::checkProcessorVariable(); !allowed) {
    std::fprintf(stderr, "limits: %s\n", allowed.error().message.c_str());
    return 1;
  }
  ReadBuffer buffer(static_cast<size_t>(mib) << 18);
  if (buffer.data().empty()) {
    std::fprintf(stderr, "limits: not enough memory for %ld MiB\n", mib);
    return 1;
  }
  if (serving) return serve(buffer, threads, seconds);
  double read = readBandwidth(buffer.data(), threads, seconds);
  if (json)
    std::printf("{\"threads\": %d, \"read_bytes_per_s\": %.4g", threads, read);
  else
    std::printf("%d threads\nread %ld MiB   %8.1f GB/s\n", threads, mib, read / 1e9);
  for (const Peak &which : peaks()) {
    double rate = peakRate(which, threads, seconds);
    if (json)
      std::printf(", \"%s_ops_per_s\": %.4g", which.name, rate);
    else
      std::printf("peak %-5s      %8.1f Gop/s\n", which.name, rate / 1e9);
  }
  if (json) std::printf("}\n");
}
