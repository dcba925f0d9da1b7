// Draws a run as SVG: losses, learning rate, and accuracy or perplexity over the steps.
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
  std::vector<CurvePoint> accuracy, perplexity; ///< of the held-out data; one of them is empty
};

/// An exponential moving average over about `span` points, corrected for the bias towards 0 at the start.
std::vector<CurvePoint> smoothed(const std::vector<CurvePoint> &points, double span);

/// The picture, 860 pixels wide: losses and the learning rate above, accuracy or perplexity below. The
/// training loss is drawn raw and smoothed. For more than 600 steps, each of its points is the mean of
/// several steps.
std::string curvesSvg(const Curves &curves);

} // namespace linnet::training
