#include "generation_option.h"
#include "support/error.h"

namespace linnet::cli {
namespace {

/// Replaces escapes of --stop, such as '\n', for shells without $'...'.
std::string unescaped(const std::string &text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    switch (++i < text.size() ? text[i] : '\0') {
    case 'n':
      out += '\n';
      break;
    case 'r':
      out += '\r';
      break;
    case 't':
      out += '\t';
      break;
    case '\\':
      out += '\\';
      break;
    default:
      usageError("--stop: expected \\n, \\r, \\t or \\\\, found '" + text.substr(i - 1, 2) + "'");
    }
  }
  return out;
}

} // namespace

void GenerationOption::add(CLI::App &command) {
  auto field = [&](CLI::Option *option, auto GenerateOptions::*member) {
    overrides.emplace_back(option, [this, member](GenerateOptions &into) { into.*member = given.*member; });
    return option;
  };
  most = field(command.add_option("-n,--max-new-tokens", given.max_new_tokens, "most tokens to generate")
                   ->check(CLI::Range(int64_t(0), int64_t(1) << 30).description(""))
                   ->type_name("N")
                   ->default_str("128"),
               &GenerateOptions::max_new_tokens);
  command.add_flag("--do-sample", sample, "draw tokens at random; else the likeliest each time");
  command.add_flag("--greedy", greedy, "the likeliest token each time, whatever the model's settings say")
      ->excludes("--do-sample");
  auto drawing = [&](CLI::Option *option, auto GenerateOptions::*member) {
    of_drawing.push_back(field(option, member));
  };
  drawing(
      command
          .add_option("--temperature", given.temperature, "below 1: safer, above: wilder, 0: the likeliest")
          ->check(numberIn(0, 1e6))
          ->type_name("X")
          ->default_str("1"),
      &GenerateOptions::temperature);
  drawing(command.add_option("--top-k", given.top_k, "draw among the K likeliest; 0: among all")
              ->check(CLI::Range(int64_t(0), int64_t(1) << 31).description(""))
              ->type_name("K")
              ->default_str("50"),
          &GenerateOptions::top_k);
  drawing(command.add_option("--top-p", given.top_p, "draw among the likeliest that make up P together")
              ->check(numberIn(0, 1.0))
              ->type_name("P")
              ->default_str("1"),
          &GenerateOptions::top_p);
  field(command
            .add_option("--repetition-penalty", given.repetition_penalty,
                        "above 1: tokens seen before are less likely")
            ->check(numberIn(1e-3, 1e3))
            ->type_name("X")
            ->default_str("1"),
        &GenerateOptions::repetition_penalty);
  field(command.add_option("--seed", given.seed, "same seed, same text")
            ->check(isSeed())
            ->type_name("N")
            ->capture_default_str(),
        &GenerateOptions::seed);
  field(command.add_option("--stop", given.stop, "end before this text; \\n is a line's end; repeatable")
            ->allow_extra_args(false)
            ->type_name("TEXT"),
        &GenerateOptions::stop);
  ends = command.add_option("--eos-id", end_ids, "tokens that end the text, instead of the model's")
             ->type_name("1,2,3");
  overrides.emplace_back(ends, [this](GenerateOptions &into) { into.eos_ids = given.eos_ids; });
  command.add_flag("--ignore-eos", given.ignore_eos, "go on past the tokens that end a text")->excludes(ends);
}

void GenerationOption::check() {
  for (std::string &stop : given.stop) {
    stop = unescaped(stop);
    if (stop.empty()) usageError("--stop: the text is empty");
  }
  for (const CLI::Option *option : of_drawing)
    if (greedy && *option) usageError(option->get_name() + " excludes --greedy");
  if (!*ends) return;
  auto ids = parseIds(end_ids, "--eos-id");
  if (!ids) usageError(ids.error().message);
  if (ids->empty()) usageError("--eos-id: expected at least one token id");
  given.eos_ids = std::move(*ids);
}

GenerateOptions GenerationOption::over(const Model &model) const {
  GenerateOptions options = model.generation();
  for (const auto &[option, copy] : overrides)
    if (*option) copy(options);
  options.ignore_eos = given.ignore_eos;
  if (sample) options.do_sample = true;
  if (greedy) options.do_sample = false;
  const bool likeliest = options.temperature == 0 || options.top_p == 0;
  for (const CLI::Option *option : of_drawing)
    if (*option && !options.do_sample && !likeliest) usageError(option->get_name() + " requires --do-sample");
  return options;
}

std::string drawingText(const GenerateOptions &options) {
  return fmt::format("drawn with seed {}: temperature {:g}, top_k {}, top_p {:g}", options.seed,
                     options.temperature, options.top_k, options.top_p);
}

} // namespace linnet::cli
