// linnet logits: the next token's logits and probabilities.
#include "arguments.h"
#include "model.h"
#include "npy.h"
#include "output.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

namespace linnet::cli {
namespace logits_command {

struct Options {
  std::string file, output;
  PromptOption prompt;
  DeviceOption device;
  int64_t top = 10;
  bool all = false, json = false;
};

struct Candidate {
  TokenId id;
  float logit;
  double probability;
};

/// The likeliest tokens of one position, with softmax over all of them.
std::vector<Candidate> likeliest(std::span<const float> logits, int64_t top) {
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  size_t count = std::min<size_t>(logits.size(), static_cast<size_t>(top));
  auto likelier = [&](TokenId a, TokenId b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(), likelier);
  double largest = logits[static_cast<size_t>(order[0])], sum = 0;
  for (float logit : logits) sum += std::exp(logit - largest);
  std::vector<Candidate> out;
  for (size_t i = 0; i < count; ++i) {
    float logit = logits[static_cast<size_t>(order[i])];
    out.push_back({order[i], logit, std::exp(logit - largest) / sum});
  }
  return out;
}

std::string tokenText(const Model &model, TokenId id) {
  return model.tokenizer() ? quoted(model.tokenizer()->tokenBytes(id)) : "";
}

void printTable(const Model &model, const std::vector<Candidate> &candidates) {
  Table table(model.tokenizer() ? "rrrl" : "rrr", {"id", "probability", "logit", "token"});
  for (const Candidate &c : candidates)
    table.add({std::to_string(c.id), fmt::format("{:.6f}", c.probability), fmt::format("{:.4f}", c.logit),
               tokenText(model, c.id)});
  put(std::string_view(table.plain()));
}

Json candidatesJson(const Model &model, const std::vector<Candidate> &candidates) {
  Json out = Json::array();
  for (const Candidate &c : candidates) {
    Json one = {{"id", c.id}, {"probability", c.probability}, {"logit", c.logit}};
    if (model.tokenizer()) one["token"] = std::string(model.tokenizer()->tokenBytes(c.id));
    out.push_back(std::move(one));
  }
  return out;
}

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet logits"));
  LINNET_ASSIGN(std::vector<TokenId> ids, promptIds(open.model, options.prompt));
  CancelOnSignal cancel(open.session);
  LINNET_ASSIGN(Matrix logits, open.session.logits(ids, options.all));
  std::vector<int64_t> shape = {logits.columns};
  if (options.all) shape.insert(shape.begin(), logits.rows);
  if (!options.output.empty()) LINNET_TRY(writeNpy(options.output, logits.values, shape));
  Json positions = Json::array();
  size_t columns = static_cast<size_t>(logits.columns);
  for (size_t row = 0; row < static_cast<size_t>(logits.rows); ++row) {
    auto candidates = likeliest(std::span(logits.values).subspan(row * columns, columns), options.top);
    int64_t position = options.all ? static_cast<int64_t>(row) : static_cast<int64_t>(ids.size()) - 1;
    if (options.json)
      positions.push_back({{"position", position}, {"top", candidatesJson(open.model, candidates)}});
    if (options.json || !options.output.empty()) continue;
    if (options.all)
      put("{}position {}, after {} {}\n", row ? "\n" : "", position, ids[row],
          tokenText(open.model, ids[row]));
    printTable(open.model, candidates);
  }
  if (options.json) {
    Json out = {{"ids", ids}, {"shape", shape}, {"positions", positions}};
    if (!options.output.empty()) out["output"] = options.output;
    printJson(out);
  } else if (!options.output.empty()) {
    put("{}: float32 [{}]\n", options.output, fmt::join(shape, ", "));
  }
  return {};
}

} // namespace logits_command

void addLogits(CLI::App &app, Action &action) {
  using namespace logits_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("logits", "the next token's logits and probabilities");
  command->group("Running");
  addModelOption(*command, options->file);
  options->prompt.add(*command);
  command->add_flag("--all", options->all, "of all positions; else of the last");
  command->add_option("--top", options->top, "likeliest tokens to list")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 31).description(""))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "float32 array, [T, vocab] with --all, else [vocab]")
      ->type_name("FILE.npy");
  options->device.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet logits model.linnet --prompt \"Once upon a\" --top 5"));
  command->callback([options, &action] {
    options->prompt.require();
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
