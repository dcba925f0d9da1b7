// linnet tokenize, linnet detokenize: text to ids and back.
#include "arguments.h"
#include "model.h"
#include "output.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"
#include "training/records.h"

#include <memory>

namespace linnet::cli {
namespace tokenize_command {

struct TokenizeOptions {
  std::string model, file, padding, padding_side;
  std::vector<std::string> prompts;
  size_t max_length = 0;
  int pad_id = -1;
  bool truncation = false, no_special = false, ids_only = false, json = false;
};

EncodeOptions encodeOptions(const TokenizeOptions &options) {
  EncodeOptions encode;
  encode.parse_special = !options.no_special;
  encode.truncation = options.truncation;
  if (options.max_length) encode.max_length = options.max_length;
  if (options.padding == "max_length") encode.padding = Padding::MaxLength;
  if (options.padding == "longest") encode.padding = Padding::Longest;
  if (!options.padding_side.empty())
    encode.padding_side = options.padding_side == "left" ? Side::Left : Side::Right;
  if (options.pad_id >= 0) encode.pad_id = options.pad_id;
  return encode;
}

Json toJson(const Tokenizer &tokenizer, const Encoding &encoding) {
  Json tokens = Json::array();
  for (TokenId id : encoding.ids) tokens.push_back(tokenizer.tokenSpelling(id));
  return {{"ids", encoding.ids}, {"attention_mask", encoding.attention_mask}, {"tokens", tokens}};
}

void printTable(const Tokenizer &tokenizer, const Encoding &encoding) {
  for (TokenId id : encoding.ids) put("{:6}  {}\n", id, quoted(tokenizer.tokenBytes(id)));
}

Result<void> tokenize(const TokenizeOptions &options) {
  LINNET_ASSIGN(Tokenizer tokenizer, requireTokenizer(options.model, "linnet tokenize"));
  std::vector<std::string> texts;
  for (const std::string &prompt : options.prompts) {
    LINNET_ASSIGN(std::string text, textOrStdin(prompt));
    texts.push_back(std::move(text));
  }
  MappedFile file;
  std::vector<std::string_view> views(texts.begin(), texts.end());
  if (!options.file.empty()) {
    LINNET_ASSIGN(file, training::openPlainText(options.file));
    LINNET_ASSIGN(std::string_view text, withoutByteOrderMark(file.text(), options.file));
    views.push_back(text);
  }
  LINNET_ASSIGN(std::vector<Encoding> encodings, tokenizer.encodeBatch(views, encodeOptions(options)));
  if (!options.file.empty()) note(training::textsRead(options.file, 1, training::kWholeFile));
  if (options.json && encodings.size() == 1) {
    Json one = toJson(tokenizer, encodings[0]);
    one["texts"] = 1;
    return printJson(one), Result<void>();
  }
  if (options.json) {
    Json batch = Json::array();
    for (const Encoding &encoding : encodings) batch.push_back(toJson(tokenizer, encoding));
    return printJson(batch), Result<void>();
  }
  for (const Encoding &encoding : encodings) {
    if (options.ids_only)
      put("{}\n", joinIds(encoding.ids));
    else
      printTable(tokenizer, encoding);
  }
  return {};
}

struct DetokenizeOptions {
  std::string model, ids;
  bool skip_special = false, json = false;
};

Result<void> detokenize(const DetokenizeOptions &options) {
  LINNET_ASSIGN(Tokenizer tokenizer, requireTokenizer(options.model, "linnet detokenize"));
  LINNET_ASSIGN(std::string list, textOrStdin(options.ids));
  LINNET_ASSIGN(std::vector<TokenId> ids, parseIds(list, "--ids"));
  LINNET_ASSIGN(std::string text, tokenizer.decode(ids, options.skip_special));
  if (options.json)
    printJson({{"ids", ids}, {"text", text}});
  else
    put("{}\n", text);
  return {};
}

} // namespace tokenize_command

void addTokenize(CLI::App &app, Action &action) {
  using namespace tokenize_command;
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App *command = app.add_subcommand("tokenize", "text to token ids");
  command->group("Text");
  command->add_option("MODEL", options->model, "checkpoint directory, FILE.gguf or FILE.linnet")
      ->required()
      ->type_name("");
  command->add_option("-p,--prompt", options->prompts, "text, or - for standard input; several make a batch")
      ->allow_extra_args(false)
      ->type_name("TEXT|-");
  command->add_option("-f,--file", options->file, "a file as one text")->type_name("FILE");
  command->add_option("--max-length", options->max_length, "for --truncation and --padding max_length")
      ->check(CLI::Range(size_t(1), size_t(1) << 31))
      ->type_name("N");
  command->add_flag("--truncation", options->truncation, "cut to --max-length tokens");
  command->add_option("--padding", options->padding, "max_length, or longest of the batch")
      ->check(CLI::IsMember({"max_length", "longest"}).description(""))
      ->type_name("HOW");
  command
      ->add_option("--padding-side", options->padding_side, "right or left (default: as the tokenizer says)")
      ->check(CLI::IsMember({"left", "right"}).description(""))
      ->type_name("SIDE");
  command->add_option("--pad-id", options->pad_id, "id to pad with (default: the tokenizer's)")
      ->check(CLI::Range(0, int(kMaxTokenId)))
      ->type_name("ID");
  command->add_flag("--no-parse-special", options->no_special,
                    "<|endoftext|> in the text is text like any other");
  command->add_flag("--ids", options->ids_only, "print the ids alone: 1,2,3, one line a text");
  command->add_flag("--json", options->json, "print ids, attention_mask and tokens as JSON");
  command->footer(example("  linnet tokenize model --prompt \"hello world\""));
  command->callback([options, &action] {
    if (options->prompts.empty() && options->file.empty())
      usageError("one of --prompt and --file is required");
    action = [options] { return tokenize(*options); };
  });
}

void addDetokenize(CLI::App &app, Action &action) {
  using namespace tokenize_command;
  auto options = std::make_shared<DetokenizeOptions>();
  CLI::App *command = app.add_subcommand("detokenize", "token ids to text");
  command->group("Text");
  command->add_option("MODEL", options->model, "checkpoint directory, FILE.gguf or FILE.linnet")
      ->required()
      ->type_name("");
  command->add_option("--ids", options->ids, "ids, or - for standard input")
      ->required()
      ->type_name("1,2,3|-");
  command->add_flag("--skip-special-tokens", options->skip_special, "leave special tokens out");
  command->add_flag("--json", options->json, "print ids and text as JSON");
  command->footer(
      example("  linnet tokenize model --prompt \"hello world\" --ids | linnet detokenize model --ids -"));
  command->callback([options, &action] { action = [options] { return detokenize(*options); }; });
}

} // namespace linnet::cli
