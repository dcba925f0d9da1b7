#include "compiler/dump/plan_picture.h"

#include "compiler/dump/build_graph.h"
#include "compiler/dump/svg.h"
#include "ir/Shapes.h"
#include "passes/Liveness.h"
#include "passes/Plan.h"

#include "llvm/ADT/StringExtras.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

using namespace mlir;

namespace linnet::dump {
namespace {

/// A buffer in the arena, in use for steps `first` to `last`.
struct Buffer {
  int first, last;
  int64_t offset, size;
  GraphNode::Kind kind;
  std::string name, place, type;
  int overwritten_by = -1; ///< the buffer whose op writes over this one in place, at `last`
  bool overwrites = false;
  bool working = false;               ///< working memory of an op's commands, without a value
  std::pair<int, int> positions = {}; ///< of ops in the block, as `first` and `last`
};

struct Totals {
  int64_t weights = 0, states = 0, ports = 0;
};

struct Plan {
  std::vector<Buffer> buffers;
  const char *step = "op";         ///< unit of the horizontal axis
  std::vector<std::string> layers; ///< by step
  std::vector<int64_t> live;       ///< bytes in use at each step
  int64_t arena = 0, bound = 0;
  Totals totals;
};

class PlanReader {
public:
  explicit PlanReader(func::FuncOp function) : function(function) {}

  Plan read() {
    numberSteps();
    for (const Lifetime &lifetime : lifetimes(function)) add(lifetime);
    chain();
    plan.arena = arenaBytes(function), plan.bound = liveBytes(function);
    addLive();
    addTotals();
    return std::move(plan);
  }

private:
  /// Steps are commands if the module was lowered, else ops that compute something. A position in the block,
  /// which also counts params and views, has the last step up to it.
  void numberSteps() {
    Block &block = function.getBody().front();
    const bool lowered = llvm::any_of(block, [](Operation &op) { return op.hasAttr(kCommands); });
    if (lowered) plan.step = "command";
    for (Operation &op : block) {
      const std::pair<int, int> steps = stepsOf(&op, lowered);
      if (computes(&op)) {
        plan.layers.resize(std::max<size_t>(plan.layers.size(), size_t(steps.second) + 1));
        for (int at = steps.first; at <= steps.second; ++at) plan.layers[at] = layerOf(placeOf(&op));
      }
      step_at.push_back(steps.second);
      addWorking(&op, steps);
    }
  }

  /// The first and the last step of an op; those of the op before if it has none.
  std::pair<int, int> stepsOf(Operation *op, bool lowered) const {
    const int before = step_at.empty() ? -1 : step_at.back();
    if (auto commands = op->getAttrOfType<DenseI64ArrayAttr>(kCommands))
      return {int(commands[0]), std::max(before, int(commands[1]))};
    if (lowered || !computes(op)) return {before, before};
    return {before + 1, before + 1};
  }

  void addWorking(Operation *op, std::pair<int, int> steps) {
    auto slots = op->getAttrOfType<ArrayAttr>(kWorking);
    if (!slots) return;
    for (auto slot : slots.getAsRange<ir::SlotAttr>())
      plan.buffers.push_back({.first = steps.first,
                              .last = steps.second,
                              .offset = slot.getOffset(),
                              .size = slot.getSize(),
                              .kind = kindOf(op),
                              .name = "working memory",
                              .place = placeOf(op),
                              .type = "of " + op->getName().stripDialect().str(),
                              .working = true});
  }

  void add(const Lifetime &lifetime) {
    Placement place = placementOf(lifetime.base);
    if (place.kind != Placement::slot || place.size == 0) return;
    Operation *op = lifetime.base.getDefiningOp();
    plan.buffers.push_back({step_at[lifetime.first],
                            std::max(step_at[lifetime.last], step_at[lifetime.first]), place.offset,
                            place.size, kindOf(op), op->getName().stripDialect().str(), placeOf(op),
                            typeText(lifetime.base.getType())});
    plan.buffers.back().positions = {lifetime.first, lifetime.last};
  }

  void chain() {
    for (Buffer &from : plan.buffers)
      for (size_t i = 0; i < plan.buffers.size(); ++i) {
        Buffer &to = plan.buffers[i];
        if (from.working || to.working) continue;
        const int over = to.positions.first;
        if (over != from.positions.second || over <= from.positions.first || to.offset != from.offset ||
            to.size != from.size)
          continue;
        from.overwritten_by = static_cast<int>(i);
        to.overwrites = true;
      }
  }

  void addLive() {
    plan.live.assign(plan.layers.size(), 0);
    for (const Buffer &buffer : plan.buffers)
      for (int at = buffer.first; at <= buffer.last - (buffer.overwritten_by >= 0); ++at)
        plan.live[at] += (buffer.size + 63) / 64 * 64;
  }

  void addTotals() {
    std::set<std::pair<std::string, const void *>> seen;
    auto bytes = [&](Type type) {
      auto tensor = llvm::dyn_cast<RankedTensorType>(type);
      return tensor ? ir::maxBytes(tensor, function).value_or(0) : 0;
    };
    for (auto param : function.getBody().front().getOps<ir::ParamOp>())
      if (seen.insert({param.getName().str(), param.getType().getAsOpaquePointer()}).second)
        plan.totals.weights += bytes(param.getType());
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      (ir::argState(function, i).empty() ? plan.totals.ports : plan.totals.states) +=
          bytes(function.getArgumentTypes()[i]);
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (ir::resultState(function, i).empty()) plan.totals.ports += bytes(function.getResultTypes()[i]);
  }

  func::FuncOp function;
  Plan plan;
  std::vector<int> step_at; ///< by position in the block
};

std::string counted(size_t count, const char *what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

class PlanPainter {
public:
  PlanPainter(Plan plan, std::string entry) : plan(std::move(plan)), entry(std::move(entry)) {
    int commands = std::max<int>(1, static_cast<int>(this->plan.layers.size()));
    step = std::clamp(1500.0 / commands, 14.0, 160.0);
    width = step * commands;
    top_bytes = std::max<int64_t>({this->plan.arena, this->plan.bound, 64});
  }

  std::string run() {
    header();
    layerBands();
    byteAxis();
    for (size_t i = 0; i < plan.buffers.size(); ++i) drawBuffer(i);
    liveChart();
    peakLines();
    opAxis();
    return svg.finish(std::max(kLeft + width + kRight, 900.0), kTop + kHeight + kBottom,
                      "memory plan of @" + entry);
  }

private:
  static constexpr const char *kAxis = "offset in the arena";
  static constexpr const char *kWorkingColour = "#afb8c1";
  static constexpr double kLeft = 110, kRight = 40, kTop = 150, kHeight = 520;
  static constexpr double kLiveTop = kTop + kHeight + 84, kLiveHeight = 90, kBottom = 220;

  double x(int command) const { return kLeft + step * command; }
  double y(int64_t bytes) const {
    return kTop + kHeight * (1 - static_cast<double>(bytes) / static_cast<double>(top_bytes));
  }

  void header() {
    svg.text(24, 30, "@" + entry + ", memory plan of the activations", 16, R"(font-weight="bold")");
    std::string bound = plan.arena == plan.bound
                            ? "which is the lower bound (the largest live set)"
                            : "lower bound (the largest live set) " + bytesText(plan.bound);
    svg.text(24, 50,
             fmt::format("arena {}, {}; {} and {}", bytesText(plan.arena), bound,
                         counted(plan.buffers.size(), "buffer"), counted(plan.layers.size(), plan.step)),
             11);
    svg.text(24, 66,
             fmt::format(
                 "not in the arena: weights {}, states {}, inputs and outputs {}; sizes at the bounds",
                 bytesText(plan.totals.weights), bytesText(plan.totals.states), bytesText(plan.totals.ports)),
             11);
    std::map<int, bool> present;
    bool working = false;
    for (const Buffer &buffer : plan.buffers)
      if (buffer.working)
        working = true;
      else
        present[buffer.kind] = true;
    double at = 24;
    auto entryOf = [&](const char *name, const std::string &attributes) {
      svg.rect({at, 80, 12, 12}, "class=\"legend\" " + attributes);
      svg.text(at + 17, 90, name, 10);
      at += 17 + textWidth(name, 10) + 16;
    };
    for (const auto &[kind, ignored] : present) {
      auto each = static_cast<GraphNode::Kind>(kind);
      entryOf(nameOf(each), fmt::format(R"(fill="{}" stroke="#57606a")", colourOf(each)));
    }
    if (working) entryOf("working memory", fmt::format(R"(fill="{}" stroke="#57606a")", kWorkingColour));
    entryOf("written over its operand", R"(fill="#ffffff" stroke="#cf222e" stroke-width="2")");
  }

  void layerBands() {
    for (size_t begin = 0, band = 0; begin < plan.layers.size();) {
      size_t end = begin;
      while (end < plan.layers.size() && plan.layers[end] == plan.layers[begin]) ++end;
      const std::string &layer = plan.layers[begin];
      double wide = step * static_cast<double>(end - begin);
      if (!layer.empty()) {
        svg.rect({x(static_cast<int>(begin)), kTop - 20, wide, kHeight + 20},
                 fmt::format(R"(class="layer" fill="{}")", band++ % 2 ? "#eef1f4" : "#f8f9fa"));
        if (textWidth(layer, 11) + 4 < wide)
          svg.text(x(static_cast<int>(begin)) + 4, kTop - 7, layer, 11, R"(font-weight="bold")");
      }
      begin = end;
    }
  }

  void byteAxis() {
    int64_t tick = 1;
    while (top_bytes / tick > 8) tick *= 2;
    for (int64_t at = 0; at <= top_bytes; at += tick) {
      svg.line(kLeft, y(at), kLeft + width, y(at), R"(stroke="#d0d7de" stroke-width="0.6")");
      std::string label = bytesText(at);
      svg.text(kLeft - 8 - textWidth(label, 10), y(at) + 3.5, label, 10);
    }
    svg.line(kLeft, kTop, kLeft, kTop + kHeight, R"(stroke="#57606a")");
    svg.text(24, kTop - 28, kAxis, 10);
  }

  void opAxis() {
    double base = kTop + kHeight;
    svg.line(kLeft, base, kLeft + width, base, R"(stroke="#57606a")");
    int every = step >= 22 ? 1 : 5;
    for (size_t i = 0; i < plan.layers.size(); i += every) {
      std::string label = std::to_string(i);
      svg.text(x(static_cast<int>(i)) + (step - textWidth(label, 9)) / 2, base + 14, label, 9);
    }
    svg.text(
        kLeft, base + 34,
        fmt::format("{} (its number in the entry); a buffer lives from the one that writes it to the last "
                    "that reads it",
                    plan.step),
        10);
  }

  void drawBuffer(size_t i) {
    const Buffer &buffer = plan.buffers[i];
    // A buffer that is overwritten in place ends where the next one begins: the last op reads and writes each
    // element.
    int end = buffer.last + (buffer.overwritten_by >= 0 ? 0 : 1);
    if (end == buffer.first) return; // written and overwritten by one command
    Svg::Box box{x(buffer.first), y(buffer.offset + buffer.size), step * (end - buffer.first),
                 y(buffer.offset) - y(buffer.offset + buffer.size)};
    std::string tooltip =
        fmt::format("#{} {} {}\n{}\n{} bytes ({}) at offset {}\nalive from {} {} to {}", buffer.first,
                    buffer.name, buffer.place, buffer.type, buffer.size, bytesText(buffer.size),
                    buffer.offset, plan.step, buffer.first, buffer.last);
    if (buffer.overwrites) tooltip += "\nwritten over its operand, in place";
    svg.rect(
        box,
        fmt::format(
            R"(class="buffer" data-first="{}" data-last="{}" data-offset="{}" data-size="{}"{} fill="{}" stroke="{}" stroke-width="0.8")",
            buffer.first, buffer.last, buffer.offset, buffer.size,
            buffer.overwrites ? R"( data-in-place="true")"
            : buffer.working  ? R"( data-working="true")"
                              : "",
            buffer.working ? kWorkingColour : colourOf(buffer.kind), "#57606a"),
        tooltip);
    if (buffer.overwrites)
      svg.line(box.x, box.y, box.x, box.y + box.height,
               R"(class="in-place" stroke="#cf222e" stroke-width="2.5")");
    label(buffer, box);
  }

  /// Draws the longest text that fits, horizontal rather than vertical.
  void label(const Buffer &buffer, const Svg::Box &box) {
    const std::string number = fmt::format("#{} ", buffer.first), size = bytesText(buffer.size);
    const std::string whole = buffer.place.empty() ? buffer.name : buffer.place;
    const std::string &layer = plan.layers[buffer.first]; // the band says it
    const bool inside = !layer.empty() && whole.size() > layer.size() + 1;
    const std::string part = inside ? whole.substr(layer.size() + 1) : whole;
    auto fits = [](const std::string &text, double wide) { return textWidth(text, 10) + 8 <= wide; };
    const double centre = box.y + box.height / 2;
    for (const std::string &name : {number + whole, number + part})
      if (box.height >= 27 && fits(name, box.width) && fits(size, box.width)) {
        svg.text(box.x + 4, centre - 2, name, 10, R"(class="label")");
        svg.text(box.x + 4, centre + 10, size, 10, R"(class="label")");
        return;
      }
    for (const std::string &text :
         {number + part + ", " + size, number + part, fmt::format("#{}", buffer.first)}) {
      if (box.height >= 13 && fits(text, box.width)) {
        svg.text(box.x + 4, centre + 3.5, text, 10, R"(class="label")");
        return;
      }
      if (box.width >= 12 && fits(text, box.height)) {
        const double along = box.x + box.width / 2 + 3.5, from = box.y + box.height - 4;
        svg.text(along, from, text, 10,
                 fmt::format(R"x(class="label" transform="rotate(-90 {:.2f} {:.2f})")x", along, from));
        return;
      }
    }
  }

  /// Draws the bytes in use below the arena, with the same time axis.
  void liveChart() {
    auto height = [&](int64_t bytes) {
      return kLiveTop + kLiveHeight * (1 - static_cast<double>(bytes) / static_cast<double>(top_bytes));
    };
    std::string d = fmt::format("M{:.2f} {:.2f}", kLeft, height(0));
    for (size_t i = 0; i < plan.live.size(); ++i)
      d += fmt::format("V{:.2f}H{:.2f}", height(plan.live[i]), x(static_cast<int>(i) + 1));
    svg.path(d + fmt::format("V{:.2f}z", height(0)), R"(class="live" fill="#c8e1ff" stroke="#0969da")");
    svg.line(kLeft, height(plan.bound), kLeft + width, height(plan.bound),
             R"(class="bound" stroke="#1a7f37" stroke-width="1.5")");
    svg.line(kLeft, height(0), kLeft + width, height(0), R"(stroke="#57606a")");
    for (int64_t at : std::set<int64_t>{0, plan.bound}) {
      const std::string label = bytesText(at);
      svg.text(kLeft - 8 - textWidth(label, 10), height(at) + 3.5, label, 10);
    }
    svg.text(kLeft, kLiveTop - 14,
             fmt::format("bytes in use at each {}; the largest is the lower bound of any plan", plan.step),
             10);
  }

  void peakLines() {
    auto draw = [&](int64_t bytes, const std::string &text, const char *colour) {
      svg.line(kLeft, y(bytes), kLeft + width, y(bytes),
               fmt::format(R"(class="peak" stroke="{}" stroke-width="1.5")", colour));
      const double right = kLeft + width - textWidth(text, 10) - 4, axis = 24 + textWidth(kAxis, 10) + 16;
      svg.text(std::max(right, axis), kTop - 28, text, 10, R"(font-weight="bold")");
    };
    const std::string peak = "peak " + bytesText(plan.arena);
    if (plan.arena == plan.bound) return draw(plan.arena, peak + " (red) = lower bound", "#cf222e");
    svg.line(kLeft, y(plan.bound), kLeft + width, y(plan.bound),
             R"(class="bound" stroke="#1a7f37" stroke-width="1.5")");
    draw(plan.arena, peak + " (red), lower bound " + bytesText(plan.bound) + " (green)", "#cf222e");
  }

  Plan plan;
  std::string entry;
  Svg svg;
  double step, width;
  int64_t top_bytes;
};

} // namespace

std::string planPicture(func::FuncOp function) {
  if (!function->hasAttr("linnet.arena_bytes")) return "";
  return PlanPainter(PlanReader(function).read(), function.getName().str()).run();
}

} // namespace linnet::dump
