// A run as a picture: losses, the learning rate, and accuracy or perplexity over the steps, as SVG.
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
  std::vector<CurvePoint> accuracy, perplexity; ///< of the held-out part; one of them is empty
};

/// The mean of the points so far, with weights that fall by a constant factor from each point to the one
/// before: an exponential moving average over about `span` points, without the start's pull towards 0.
std::vector<CurvePoint> smoothed(const std::vector<CurvePoint> &points, double span);

/// A page 860 wide: losses and the learning rate above, accuracy or perplexity below if there is any. The
/// training loss is drawn raw and smoothed. With more than 600 steps each point of it is the mean of a run of
/// steps.
std::string curvesSvg(const Curves &curves);

} // namespace linnet::training
