// Measures the limits of a Vulkan device (vulkan_probe.h) with a buffer as large as a model's weights.
//
//   limits_vulkan [--device N|NAME] [--mib N] [--seconds S] [--json]
//   limits_vulkan --serve ...     answers each line of stdin, "f32" or "f16", like limits
#include "bench/limits/vulkan_probe.h"
#include "support/error.h"
#include "support/json.h"

#include <CLI/CLI.hpp>

#include <iostream>

using namespace linnet;

namespace {

struct Options {
  std::string device;
  long mib = 512;
  double seconds = 1;
  bool json = false, serve = false;
};

Json named(const bench::VulkanProbe &probe) {
  return {{"number", probe.number}, {"device", probe.device}, {"driver", probe.driver}};
}

Result<Json> answer(bench::VulkanProbe &probe, const std::string &type, double seconds) {
  LINNET_ASSIGN(double read, probe.readBandwidth(seconds));
  LINNET_ASSIGN(bench::VulkanProbe::Peak peak, probe.peak(type, seconds));
  Json reply = named(probe);
  reply["read_bytes_per_s"] = read, reply["ops_per_s"] = peak.operations, reply["kernel"] = peak.kernel;
  return reply;
}

Result<void> serve(bench::VulkanProbe &probe, double seconds) {
  for (std::string type; std::getline(std::cin, type);) {
    LINNET_ASSIGN(Json reply, answer(probe, type, seconds));
    std::cout << reply.dump() << std::endl;
  }
  return {};
}

Result<void> once(bench::VulkanProbe &probe, const Options &options) {
  Json all = named(probe);
  LINNET_ASSIGN(double read, probe.readBandwidth(options.seconds));
  all["read_bytes_per_s"] = read;
  if (!options.json)
    fmt::print("vulkan:{}  {}, {}\nread {} MiB   {:8.1f} GB/s\n", probe.number, probe.device, probe.driver,
               options.mib, read / 1e9);
  for (const std::string type : {"f32", "f16"}) {
    LINNET_ASSIGN(bench::VulkanProbe::Peak peak, probe.peak(type, options.seconds));
    all[type + "_ops_per_s"] = peak.operations, all[type + "_kernel"] = peak.kernel;
    if (!options.json)
      fmt::print("peak {:<5}      {:8.1f} Gop/s   {}\n", type, peak.operations / 1e9, peak.kernel);
  }
  if (options.json) fmt::print("{}\n", all.dump());
  return {};
}

Result<void> probe(const Options &options) {
  LINNET_ASSIGN(bench::VulkanProbe probe, bench::VulkanProbe::open(options.device, options.mib));
  return options.serve ? serve(probe, options.seconds) : once(probe, options);
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  CLI::App app("What a Vulkan device can do at most: read bandwidth, and multiply-adds by type.",
               "limits_vulkan");
  app.add_option("--device", options.device, "a number or part of a name, as in --device vulkan:N");
  app.add_option("--mib", options.mib, "of the buffer that is read")->check(CLI::Range(1, 1 << 20));
  app.add_option("--seconds", options.seconds, "of each limit")->check(CLI::Range(1e-4, 600.0));
  app.add_flag("--json", options.json, "print one JSON object");
  app.add_flag("--serve", options.serve, "answer each line of stdin, a type, with both limits");
  CLI11_PARSE(app, argc, argv);
  auto done = probe(options);
  if (done) return 0;
  fmt::print(stderr, "limits_vulkan: {}\n", done.error().message);
  return 1;
}
