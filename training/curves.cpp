#include "training/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace linnet::training {
namespace {

constexpr double kWidth = 860, kHeight = 420, kLeft = 64, kRight = 72, kTop = 48, kBottom = 44;
constexpr const char *kLossColour = "#3b6fb6", *kHeldOutColour = "#c4532d", *kRateColour = "#8a8a8a";

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

/// 1, 2 or 5 times a power of ten: about `parts` of them in `range`.
double tickOf(double range, int parts) {
  double raw = range / parts, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

struct Axis {
  double low = 0, high = 1, from = 0, to = 1; ///< values; places in the picture
  double at(double value) const { return from + (to - from) * (value - low) / (high - low); }
};

class Picture {
public:
  explicit Picture(const Curves &c)
      : curves(c), loss(thinned(c.loss)), held_out(c.held_out), rate(c.learning_rate) {
    x.from = kLeft;
    x.to = kWidth - kRight;
    y.from = r.from = kHeight - kBottom;
    y.to = r.to = kTop;
    int64_t last = 1;
    double low = INFINITY, high = -INFINITY, fastest = 0;
    for (const auto *points : {&loss, &held_out})
      for (const CurvePoint &p : *points) {
        last = std::max(last, p.step);
        if (!std::isfinite(p.value)) continue;
        low = std::min(low, p.value);
        high = std::max(high, p.value);
      }
    for (const CurvePoint &p : rate) fastest = std::max(fastest, p.value);
    if (!(low < high)) low = std::isfinite(low) ? low - 0.5 : 0, high = low + 1;
    x.high = static_cast<double>(last);
    double tick = tickOf(high - low, 6);
    y.low = std::floor(low / tick) * tick;
    y.high = std::ceil(high / tick) * tick;
    r.high = fastest > 0 ? fastest * 1.05 : 1;
  }

  std::string draw() {
    body = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
                       "height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                       "<title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
                       "<text x=\"{3}\" y=\"20\" font-size=\"14\">{2}</text>\n",
                       kWidth, kHeight, escaped(curves.title), kLeft);
    grid();
    line(rate, r, kRateColour, 1);
    line(loss, y, kLossColour, 1.5);
    line(held_out, y, kHeldOutColour, 1.5);
    for (const CurvePoint &p : held_out)
      if (std::isfinite(p.value))
        body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n",
                            x.at(static_cast<double>(p.step)), y.at(p.value), kHeldOutColour);
    legend();
    return body + "</svg>\n";
  }

private:
  void text(double px, double py, const char *anchor, const std::string &what, const char *fill = "#333333") {
    body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", px, py,
                        anchor, fill, what);
  }

  void grid() {
    double tick = tickOf(y.high - y.low, 6);
    for (int i = 0; y.low + i * tick <= y.high + tick / 2; ++i) {
      double value = y.low + i * tick, place = y.at(value);
      body += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" stroke=\"#e4e4e4\"/>\n",
                          x.from, place, x.to, place);
      text(x.from - 6, place + 4, "end", fmt::format("{:.4g}", value));
    }
    double step = std::max(1.0, tickOf(x.high, 8));
    for (double value = 0; value <= x.high; value += step)
      text(x.at(value), y.from + 18, "middle", fmt::format("{:.0f}", value));
    text((x.from + x.to) / 2, kHeight - 8, "middle", "step");
    if (rate.empty()) return;
    for (double part : {0.0, 0.5, 1.0})
      text(x.to + 6, r.at(part * r.high / 1.05) + 4, "start", fmt::format("{:.2g}", part * r.high / 1.05),
           kRateColour);
  }

  void line(const std::vector<CurvePoint> &points, const Axis &axis, const char *colour, double width) {
    std::string path;
    bool down = false; // the pen: a value that is not finite lifts it
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

  void legend() {
    double place = x.from;
    for (auto [name, colour, there] : {std::tuple("training loss", kLossColour, !loss.empty()),
                                       std::tuple("held-out loss", kHeldOutColour, !held_out.empty()),
                                       std::tuple("learning rate (right)", kRateColour, !rate.empty())}) {
      if (!there) continue;
      body +=
          fmt::format("<line x1=\"{0}\" y1=\"34\" x2=\"{1}\" y2=\"34\" stroke=\"{2}\" stroke-width=\"2\"/>\n",
                      place, place + 18, colour);
      text(place + 23, 38, "start", name);
      place += 150;
    }
  }

  const Curves &curves;
  std::vector<CurvePoint> loss, held_out, rate;
  Axis x, y, r;
  std::string body;
};

} // namespace

std::string curvesSvg(const Curves &curves) { return Picture(curves).draw(); }

} // namespace linnet::training
