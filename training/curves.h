// A run as a picture: losses and the learning rate over the steps, as SVG.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace linnet::training {

struct CurvePoint {
  int64_t step = 0;
  double value = 0;
};

struct Curves {
  std::string title;
  std::vector<CurvePoint> loss, held_out, learning_rate;
};

/// A page of 860 x 420. With more than 600 steps each point of the losses is the mean of a run of steps.
std::string curvesSvg(const Curves &curves);

} // namespace linnet::training
