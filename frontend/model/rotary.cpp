#include "frontend/model/rotary.h"

#include <cmath>
#include <numbers>

namespace linnet {
namespace {

constexpr const char *kPositive = "a positive number";
bool positive(double x) { return x > 0; }

} // namespace

int64_t Rotary::pairs(int64_t head_size) const { return (part(head_size) + 1) / 2; }

int64_t Rotary::part(int64_t head_size) const {
  return static_cast<int64_t>(static_cast<double>(head_size) * partial);
}

std::vector<float> Rotary::frequencies(int64_t head_size) const {
  const int64_t size = part(head_size);
  std::vector<float> all;
  for (int64_t i = 0; i < size; i += 2) {
    float f = 1.0f / std::pow(static_cast<float>(theta), static_cast<float>(i) / static_cast<float>(size));
    if (type == "linear") {
      f /= static_cast<float>(factor);
    } else if (type == "llama3") {
      const auto original = static_cast<float>(original_positions), low = static_cast<float>(low_freq_factor),
                 high = static_cast<float>(high_freq_factor), by = static_cast<float>(factor);
      const float length = 2 * std::numbers::pi_v<float> / f; // positions of a full turn
      const float smooth = (original / length - low) / (high - low);
      if (length > original / low)
        f /= by;
      else if (length >= original / high)
        f = (1 - smooth) * f / by + smooth * f;
    }
    all.push_back(f);
  }
  return all;
}

Json Rotary::toJson() const {
  Json json = {{"rope_type", type}, {"rope_theta", theta}};
  if (partial != 1) json["partial_rotary_factor"] = partial;
  if (type != "default") json["factor"] = factor;
  if (type == "llama3") {
    json["low_freq_factor"] = low_freq_factor;
    json["high_freq_factor"] = high_freq_factor;
    json["original_max_position_embeddings"] = original_positions;
  }
  return json;
}

void Rotary::readScaling(JsonReader &reader, int64_t positions) {
  type = "default";
  reader.text("type", type); // of old files
  reader.text("rope_type", type);
  if (type != "default" && type != "linear" && type != "llama3")
    return reader.fail("rope_type", "default, linear or llama3");
  reader.number("rope_theta", theta, kPositive, positive);
  reader.number("partial_rotary_factor", partial, "above 0 and at most 1",
                [](double x) { return x > 0 && x <= 1; });
  if (type == "default") return;
  if (!reader.has("factor")) reader.fail("factor", kPositive);
  reader.number("factor", factor, kPositive, positive);
  if (type == "linear") return;
  for (const char *key : {"low_freq_factor", "high_freq_factor"})
    if (!reader.has(key)) reader.fail(key, kPositive);
  original_positions = positions;
  reader.number("low_freq_factor", low_freq_factor, kPositive, positive);
  reader.number("high_freq_factor", high_freq_factor, "above low_freq_factor",
                [&](double x) { return x > low_freq_factor; });
  reader.integer("original_max_position_embeddings", original_positions, 1, 1 << 30);
}

void Rotary::read(JsonReader &reader, int64_t positions, const char *part) {
  reader.number("rope_theta", theta, kPositive, positive);
  const double outer_theta = theta;
  auto inside = [&](JsonReader &outer, const char *key, auto read) {
    if (const Json *object = outer.object(key)) {
      const std::string where = outer.file() + ": " + key;
      JsonReader inner(*object, where);
      read(inner);
      outer.take(inner);
    }
  };
  auto filled = [&](const char *key) {
    const Json *object = reader.object(key);
    return object && !object->empty();
  };
  if (filled("rope_scaling") && filled("rope_parameters"))
    return reader.fail("rope_scaling", "null, as rope_parameters is there");
  inside(reader, "rope_scaling", [&](JsonReader &scaling) { readScaling(scaling, positions); });
  inside(reader, "rope_parameters", [&](JsonReader &all) {
    if (part)
      inside(all, part, [&](JsonReader &own) { readScaling(own, positions); });
    else
      readScaling(all, positions);
  });
  if (!part && filled("rope_parameters") && reader.has("rope_theta") && !reader.isNull("rope_theta") &&
      theta != outer_theta)
    reader.fail("rope_theta", "the same as in rope_parameters");
}

} // namespace linnet
