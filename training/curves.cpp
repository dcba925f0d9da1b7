#include "training/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>
#include <tuple>

namespace linnet::training {
namespace {

constexpr double kWidth = 860, kLeft = 64, kRight = 72, kTop = 48, kBottom = 44;
constexpr double kLossHeight = 328, kGap = 28, kMeasureHeight = 132; // two panels and the gap between them
constexpr const char *kRawColour = "#b9cde6", *kLossColour = "#3b6fb6", *kHeldOutColour = "#c4532d",
                     *kRateColour = "#8a8a8a", *kMeasureColour = "#3f8f5b";

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else
      out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out;
}

std::vector<CurvePoint> thinned(const std::vector<CurvePoint> &points) {
  constexpr size_t kMost = 600;
  size_t run = (points.size() + kMost - 1) / kMost;
  if (run <= 1) return points;
  std::vector<CurvePoint> out;
  for (size_t i = 0; i < points.size(); i += run) {
    size_t end = std::min(i + run, points.size());
    double sum = 0;
    for (size_t k = i; k < end; ++k) sum += points[k].value;
    out.push_back({points[end - 1].step, sum / static_cast<double>(end - i)});
  }
  return out;
}

/// The tick distance, 1, 2 or 5 times a power of ten, that divides `range` into about `parts` parts.
double tickOf(double range, int parts) {
  double raw = range / parts, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

struct Axis {
  double low = 0, high = 1, from = 0, to = 1; ///< range of values; range of coordinates
  double at(double value) const { return from + (to - from) * (value - low) / (high - low); }

  /// Widens [low, high] to ticks around the finite values of all `lists`.
  void fit(std::initializer_list<const std::vector<CurvePoint> *> lists, int parts) {
    low = INFINITY, high = -INFINITY;
    for (const auto *points : lists)
      for (const CurvePoint &p : *points) {
        if (!std::isfinite(p.value)) continue;
        low = std::min(low, p.value);
        high = std::max(high, p.value);
      }
    if (!(low < high)) low = std::isfinite(low) ? low - 0.5 : 0, high = low + 1;
    const double tick = tickOf(high - low, parts);
    low = std::floor(low / tick) * tick;
    high = std::ceil(high / tick) * tick;
  }
};

class Picture {
public:
  explicit Picture(const Curves &c)
      : curves(c), raw(thinned(c.loss)), loss(thinned(smoothed(c.loss, spanOf(c.loss)))),
        measure(c.accuracy.empty() ? c.perplexity : c.accuracy) {
    x.from = kLeft;
    x.to = kWidth - kRight;
    y.from = r.from = kTop + kLossHeight;
    y.to = r.to = kTop;
    m.from = y.from + kGap + kMeasureHeight;
    m.to = y.from + kGap;
    bottom = measure.empty() ? y.from : m.from;
    int64_t last = 1;
    double fastest = 0;
    for (const CurvePoint &p : raw) last = std::max(last, p.step);
    for (const CurvePoint &p : c.held_out) last = std::max(last, p.step);
    for (const CurvePoint &p : c.learning_rate) fastest = std::max(fastest, p.value);
    x.high = static_cast<double>(last);
    y.fit({&raw, &c.held_out}, kLossTicks);
    m.fit({&measure}, kMeasureTicks);
    r.high = fastest > 0 ? fastest * 1.05 : 1;
  }

  std::string draw() {
    body = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
                       "height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                       "<title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
                       "<text x=\"{3}\" y=\"20\" font-size=\"14\">{2}</text>\n",
                       kWidth, bottom + kBottom, escaped(curves.title), kLeft);
    levels(y, kLossTicks);
    if (!measure.empty()) levels(m, kMeasureTicks);
    steps();
    rates();
    line(curves.learning_rate, r, kRateColour, 1);
    line(raw, y, kRawColour, 1);
    line(loss, y, kLossColour, 1.8);
    marked(curves.held_out, y, kHeldOutColour);
    marked(measure, m, kMeasureColour);
    legend();
    return body + "</svg>\n";
  }

private:
  static constexpr int kLossTicks = 6, kMeasureTicks = 4;

  /// Span of the smoothed curve: a thirtieth of the run. A few points are not smoothed.
  static double spanOf(const std::vector<CurvePoint> &points) {
    constexpr double kPart = 30;
    return std::max(1.0, static_cast<double>(points.size()) / kPart);
  }

  void text(double px, double py, const char *anchor, const std::string &what, const char *fill = "#333333") {
    body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", px, py,
                        anchor, fill, what);
  }

  /// Draws horizontal lines with their values.
  void levels(const Axis &axis, int parts) {
    double tick = tickOf(axis.high - axis.low, parts);
    for (int i = 0; axis.low + i * tick <= axis.high + tick / 2; ++i) {
      double value = axis.low + i * tick, place = axis.at(value);
      body += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" stroke=\"#e4e4e4\"/>\n",
                          x.from, place, x.to, place);
      text(x.from - 6, place + 4, "end", fmt::format("{:.4g}", value));
    }
  }

  void steps() {
    double step = std::max(1.0, tickOf(x.high, 8));
    for (double value = 0; value <= x.high; value += step)
      text(x.at(value), bottom + 18, "middle", fmt::format("{:.0f}", value));
    text((x.from + x.to) / 2, bottom + kBottom - 8, "middle", "step");
  }

  void rates() {
    if (curves.learning_rate.empty()) return;
    for (double part : {0.0, 0.5, 1.0})
      text(x.to + 6, r.at(part * r.high / 1.05) + 4, "start", fmt::format("{:.2g}", part * r.high / 1.05),
           kRateColour);
  }

  void line(const std::vector<CurvePoint> &points, const Axis &axis, const char *colour, double width) {
    std::string path;
    bool down = false; // whether the pen is down: an infinite or NaN value interrupts the line
    for (const CurvePoint &p : points) {
      if (std::isfinite(p.value))
        path += fmt::format("{}{:.1f} {:.1f}", down ? "L" : "M", x.at(static_cast<double>(p.step)),
                            axis.at(p.value));
      down = std::isfinite(p.value);
    }
    if (!path.empty())
      body += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"/>\n", path, colour,
                          width);
  }

  /// Draws a line with a dot for each point.
  void marked(const std::vector<CurvePoint> &points, const Axis &axis, const char *colour) {
    line(points, axis, colour, 1.5);
    for (const CurvePoint &p : points)
      if (std::isfinite(p.value))
        body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n",
                            x.at(static_cast<double>(p.step)), axis.at(p.value), colour);
  }

  void legend() {
    constexpr double kSwatch = 18, kLetter = 6.2, kBetween = 30;
    double place = x.from;
    const char *measured =
        curves.accuracy.empty() ? "held-out perplexity (below)" : "held-out accuracy (below)";
    for (auto [name, colour, there] :
         {std::tuple("training loss", kRawColour, !raw.empty()),
          std::tuple("smoothed", kLossColour, !loss.empty()),
          std::tuple("held-out loss", kHeldOutColour, !curves.held_out.empty()),
          std::tuple(measured, kMeasureColour, !measure.empty()),
          std::tuple("learning rate (right)", kRateColour, !curves.learning_rate.empty())}) {
      if (!there) continue;
      body +=
          fmt::format("<line x1=\"{0}\" y1=\"34\" x2=\"{1}\" y2=\"34\" stroke=\"{2}\" stroke-width=\"2\"/>\n",
                      place, place + kSwatch, colour);
      text(place + kSwatch + 5, 38, "start", name);
      place += kSwatch + kBetween + kLetter * static_cast<double>(std::string_view(name).size());
    }
  }

  const Curves &curves;
  std::vector<CurvePoint> raw, loss;
  const std::vector<CurvePoint> &measure;
  Axis x, y, r, m;
  double bottom = 0; ///< bottom of the lowest panel
  std::string body;
};

} // namespace

std::vector<CurvePoint> smoothed(const std::vector<CurvePoint> &points, double span) {
  const double keep = 1 - 2 / (span + 1); // the usual meaning of an exponential average's span
  std::vector<CurvePoint> out;
  double sum = 0, weight = 0;
  for (const CurvePoint &p : points) {
    if (std::isfinite(p.value)) {
      sum = keep * sum + p.value;
      weight = keep * weight + 1;
    }
    out.push_back({p.step, weight > 0 ? sum / weight : p.value});
  }
  return out;
}

std::string curvesSvg(const Curves &curves) { return Picture(curves).draw(); }

} // namespace linnet::training
