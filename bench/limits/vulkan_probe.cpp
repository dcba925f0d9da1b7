#include "bench/limits/vulkan_probe.h"

#include "backends/vulkan/shader.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"
#include "support/scratch_directory.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace bench {
namespace {

using namespace linnet;

/// The shapes that Linnet's prompts use (VulkanOptions::matrices).
constexpr MatrixShape kShapes[] = {{16, 16, 16, 32}, {16, 16, 16, 64}};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// The kernels that the device can run: floatPeak() first, the best last.
std::vector<PeakKernel> peaksOf(const std::function<bool(const fb::ShaderT &)> &runs) {
  std::vector<PeakKernel> found = {floatPeak()};
  auto addIfRuns = [&](PeakKernel peak) {
    if (runs(vulkan::shaderOf(peak.kernel))) found.push_back(std::move(peak));
  };
  for (const MatrixShape &shape : kShapes)
    if (found.size() == 1) addIfRuns(matrixPeak(shape));
  if (found.size() == 1) addIfRuns(halfPeak());
  return found;
}

template <class T> Result<std::vector<T>> told(Executable &executable) {
  LINNET_ASSIGN(const std::span<const std::byte> bytes, executable.output(0));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

} // namespace

Result<VulkanProbe> VulkanProbe::open(std::string_view argument, long mib) {
  VulkanProbe probe;
  LINNET_ASSIGN(vulkan::FoundDevice found, vulkan::findDevice(argument));
  probe.number = found.number, probe.device = found.inventory.name, probe.driver = found.inventory.driver;
  LINNET_ASSIGN(auto runs, vulkan::shaderFilter(argument));
  probe.on_cpu = found.inventory.kind == vulkan::Kind::cpu;
  probe.kernels = {fillKernel(), readKernel(probe.on_cpu), peaksOf(runs)};
  LINNET_TRY(probe.load(static_cast<uint64_t>(mib) << 20));
  LINNET_TRY(probe.run(kFill, 1));
  return probe;
}

Result<void> VulkanProbe::load(uint64_t size) {
  bytes = size;
  LINNET_ASSIGN(ScratchDirectory scratch, ScratchDirectory::create("linnet-limits"));
  const std::string path = scratch.path() + "/limits.linnet";
  LINNET_ASSIGN(ArtifactWriter writer, ArtifactWriter::create(path));
  fb::MetadataT metadata;
  metadata.producer = "limits";
  LINNET_ASSIGN(std::unique_ptr<fb::ProgramT> program, makeProgram(writer, kernels, bytes));
  metadata.programs.push_back(std::move(program));
  LINNET_TRY(writer.finish(metadata));
  LINNET_ASSIGN(Artifact written, Artifact::open(path));
  artifact = std::make_shared<Artifact>(std::move(written));
  LINNET_ASSIGN(opened, openDevice("vulkan:" + std::to_string(number)));
  LINNET_ASSIGN(executable, opened->load(*artifact, *artifact->program("vulkan"), {}));
  return {};
}

Result<double> VulkanProbe::run(int entry, int64_t times) {
  const double begin = now();
  LINNET_TRY(executable->run(entry, std::span(&times, 1), {}, {}));
  return now() - begin;
}

// Finds the work that takes an eighth of the time, then repeats it.
Result<double> VulkanProbe::rate(int entry, double work, double seconds) {
  const double end = now() + seconds, part = seconds / 8;
  int64_t &times = usual.try_emplace(entry, 1).first->second;
  LINNET_ASSIGN(double took, run(entry, times));
  while (took < part && times < kMostGroups) {
    const double more = std::clamp(1.2 * part / took, 1.5, 16.0);
    times = std::min(kMostGroups, static_cast<int64_t>(std::ceil(static_cast<double>(times) * more)));
    LINNET_ASSIGN(took, run(entry, times));
  }
  std::vector<double> rates = {work * static_cast<double>(times) / took};
  while (now() + took < end) {
    LINNET_ASSIGN(took, run(entry, times));
    rates.push_back(work * static_cast<double>(times) / took);
  }
  return median(rates);
}

Result<void> VulkanProbe::checkSums() {
  LINNET_ASSIGN(std::vector<uint32_t> sums, told<uint32_t>(*executable));
  for (uint32_t i = 0; i < kChecked; ++i)
    if (sums[i] != sumOf(i, on_cpu))
      return errorf("{}: invocation {} of the reading kernel found {}, expected {}", device, i, sums[i],
                    sumOf(i, on_cpu));
  return {};
}

Result<void> VulkanProbe::checkResults(const PeakKernel &peak, int64_t groups) {
  LINNET_ASSIGN(std::vector<float> results, told<float>(*executable));
  const uint64_t count =
      std::min<uint64_t>(kChecked, static_cast<uint64_t>(groups) * peak.kernel.local_size[0]);
  for (uint64_t i = 0; i < count; ++i)
    if (!(std::fabs(results[i] - peak.result) <= 0.01 * peak.result))
      return errorf("{}: invocation {} of kernel {} found {}, expected {}", device, i, peak.kernel.name,
                    results[i], peak.result);
  return {};
}

Result<double> VulkanProbe::readBandwidth(double seconds) {
  LINNET_ASSIGN(double found, rate(kRead, static_cast<double>(bytes), seconds));
  LINNET_TRY(checkSums());
  return found;
}

Result<VulkanProbe::Peak> VulkanProbe::peak(std::string_view type, double seconds) {
  if (type != "f32" && type != "f16") return Peak{};
  const size_t which = type == "f32" ? 0 : kernels.peaks.size() - 1;
  const PeakKernel &kernel = kernels.peaks[which];
  const int entry = kPeaks + static_cast<int>(which);
  LINNET_ASSIGN(double found, rate(entry, kernel.operations, seconds));
  LINNET_TRY(checkResults(kernel, usual[entry]));
  return Peak{found, kernel.kernel.name};
}

} // namespace bench
