#include "frontend/checkpoint/init.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/export.h"
#include "frontend/checkpoint/safetensors.h"
#include "frontend/model/family.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/staging.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace linnet {
namespace {

/// The preset of that name, or an error that lists the presets.
Result<Preset> presetOf(std::string_view name) {
  for (Preset &preset : presets())
    if (name == preset.name) return std::move(preset);
  return errorf("unknown preset \"{}\"; there are {}", name, fmt::join(presetNames(), ", "));
}

/// Element `index` of stream `stream`: a counter-based generator (SplitMix64's finalizer, Steele et al.
/// 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// A normal deviate by the inverse of the normal distribution, Acklam's rational approximation (relative
/// error 1.2e-9). The tails need a logarithm, computed here from exact operations only, so that every machine
/// gives the same bits.
double naturalLog(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent); // exact
  double t = (m - 1) / (m + 1), t2 = t * t, sum = 0;
  for (int n = 41; n >= 1; n -= 2) sum = sum * t2 + 1.0 / n;
  return 2 * t * sum + exponent * 0.69314718055994530942;
}
double normal(uint64_t bits) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                          3.754408661907416e+00};
  double p = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
  auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  constexpr double kTail = 0.02425;
  if (p < kTail) return tail(std::sqrt(-2 * naturalLog(p)));
  if (p > 1 - kTail) return -tail(std::sqrt(-2 * naturalLog(1 - p)));
  double q = p - 0.5, r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

/// Standard deviation of weights, and of drawn biases and gains.
constexpr double kDeviation = 0.02;

struct Distribution {
  double mean = 0, deviation = kDeviation;
};

Distribution distributionOf(const TensorSpec &want, const ModelDescription &config, Vectors vectors) {
  const double of_vector = vectors == Vectors::drawn ? kDeviation : 0;
  if (want.name.ends_with("bias")) return {0, of_vector};
  if (want.shape.size() == 1) return {1, of_vector};
  if (want.role == TensorRole::residual)
    return {0, kDeviation / std::sqrt(2.0 * static_cast<double>(config.n_layer))};
  return {};
}

/// Draws the elements of a tensor: normal, or constant if the deviation is 0.
TensorToWrite drawn(const TensorSpec &want, const std::string &name, uint64_t stream,
                    Distribution distribution, StorageType type, std::function<void(uint64_t)> wrote) {
  auto write = [=, count = want.elements()](
                   const std::function<Result<void>(std::span<const std::byte>)> &sink) -> Result<void> {
    std::vector<float> values;
    std::vector<std::byte> bytes;
    for (uint64_t i = 0; i < count;) {
      values.resize(std::min<uint64_t>(count - i, 1 << 16));
      for (float &value : values) {
        value = static_cast<float>(distribution.mean);
        if (distribution.deviation > 0)
          value = static_cast<float>(distribution.mean +
                                     distribution.deviation * normal(mix(stream + i * 0x9e3779b97f4a7c15)));
        ++i;
      }
      bytes.clear();
      encode(type, values, bytes);
      LINNET_TRY(sink(bytes));
      if (wrote) wrote(values.size() * sizeof(float));
    }
    return {};
  };
  return {name, type, want.shape, write};
}

/// A tokenizer with the 256 bytes in the order of their spelling (byte_level.h), and <|endoftext|>.
Result<Tokenizer> byteTokenizer() {
  auto utf8 = [](int point) {
    if (point < 128) return std::string(1, static_cast<char>(point));
    return std::string{static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 63))};
  };
  auto printable = [](int byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173); };
  TokenizerParts parts;
  for (int byte = 0; byte < 256; ++byte)
    if (printable(byte)) parts.tokens.push_back(utf8(byte));
  int extra = 0;
  for (int byte = 0; byte < 256; ++byte)
    if (!printable(byte)) parts.tokens.push_back(utf8(256 + extra++));
  AddedToken end;
  end.content = "<|endoftext|>";
  end.id = 256;
  end.special = true;
  parts.added = {end};
  parts.bos = parts.eos = parts.unk = 256;
  return Tokenizer::fromParts(parts);
}

} // namespace

std::vector<std::string> presetNames() {
  std::vector<std::string> names;
  for (const Preset &preset : presets()) names.emplace_back(preset.name);
  return names;
}

Result<ModelDescription> presetConfig(std::string_view name) {
  LINNET_ASSIGN(Preset preset, presetOf(name));
  return std::move(preset.description);
}

TensorToWrite randomTensor(const TensorSpec &want, const std::string &name, uint64_t seed, uint64_t stream,
                           const ModelDescription &config, StorageType type) {
  return drawn(want, name, mix(mix(seed + 0x9e3779b97f4a7c15) + stream),
               distributionOf(want, config, Vectors::constant), type, {});
}

Result<void> initCheckpoint(const ModelDescription &config, uint64_t seed, const std::string &directory,
                            const std::optional<Tokenizer> &tokenizer, const std::string &note,
                            Vectors vectors, const Progress &progress) {
  LINNET_ASSIGN(StagingDirectory staging, StagingDirectory::create(directory));
  uint64_t total = 0, done = 0, stream = mix(seed + 0x9e3779b97f4a7c15);
  const std::vector<TensorSpec> expected = config.tensors();
  for (const TensorSpec &want : expected) total += sizeof(float) * want.elements();
  auto wrote = [&](uint64_t bytes) {
    done += bytes;
    if (progress) progress(done, total, "model.safetensors");
  };
  std::vector<TensorToWrite> tensors;
  for (const TensorSpec &want : expected)
    tensors.push_back(drawn(want, want.name, stream = mix(stream), distributionOf(want, config, vectors),
                            StorageType::f32, wrote));
  LINNET_TRY(writeSafetensors(staging.path() + "/model.safetensors", tensors, {{"format", "pt"}}));
  Json json = config.toJson();
  json["_linnet_note"] = note;
  LINNET_TRY(writeTextFile(staging.path() + "/config.json", json.dump(2) + "\n"));
  if (tokenizer) LINNET_TRY(saveTokenizer(*tokenizer, config, staging.path()));
  return staging.commit();
}

Result<std::optional<Tokenizer>> presetTokenizer(std::string_view preset) {
  auto found = presetOf(preset);
  if (!found || !found->byte_tokenizer) return std::optional<Tokenizer>();
  LINNET_ASSIGN(Tokenizer tokenizer, byteTokenizer());
  return std::optional(std::move(tokenizer));
}

Result<void> initCheckpoint(std::string_view preset, uint64_t seed, const std::string &directory,
                            Vectors vectors, const Progress &progress) {
  LINNET_ASSIGN(ModelDescription config, presetConfig(preset));
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, presetTokenizer(preset));
  return initCheckpoint(
      config, seed, directory, tokenizer,
      fmt::format("untrained: random weights, linnet init --preset {} --seed {}", preset, seed), vectors,
      progress);
}

} // namespace linnet
