// linnet tokenizer train: learns a byte-level BPE vocabulary from text.
#include "arguments.h"
#include "output.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/staging.h"
#include "support/text.h"
#include "tokenizer/train.h"
#include "training/records.h"

#include <memory>

namespace linnet::cli {
namespace tokenizer_train_command {

struct Options {
  TrainOptions train;
  std::vector<std::string> special, files;
  std::string output, text_column;
  bool json = false;
};

/// Whether a file is a record format, whose names and punctuation are not learned.
bool holdsRecords(const std::string &path) {
  for (const char *ending : {".json", ".jsonl", ".ndjson", ".csv", ".tsv"})
    if (path.ends_with(ending)) return true;
  return false;
}

/// Appends the texts of a file: its records, or the whole file. `files` and `records` keep them alive.
Result<void> readTexts(const std::string &path, const training::ReadOptions &read,
                       std::vector<MappedFile> &files, std::vector<std::vector<training::Record>> &records,
                       std::vector<std::string_view> &texts) {
  if (holdsRecords(path)) {
    LINNET_ASSIGN(std::vector<training::Record> list, training::readRecords(path, read));
    records.push_back(std::move(list));
    for (const training::Record &record : records.back()) texts.push_back(record.text);
    return {};
  }
  LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
  LINNET_ASSIGN(std::string_view text, withoutByteOrderMark(file.text(), path));
  if (text.empty()) return errorf("{}: expected text to learn from, found an empty file", path);
  texts.push_back(text);
  files.push_back(std::move(file));
  return {};
}

Result<void> execute(Options &options) {
  // Created first, so that an unwritable directory is an error before the training.
  LINNET_ASSIGN(StagingDirectory staging, StagingDirectory::create(options.output));
  std::vector<MappedFile> files;
  std::vector<std::vector<training::Record>> records;
  std::vector<std::string_view> texts;
  uint64_t bytes = 0;
  std::vector<std::string> said;
  training::ReadOptions read;
  read.text_column = options.text_column;
  read.note = [&](const std::string &line) { said.push_back(line); };
  for (const std::string &path : options.files) LINNET_TRY(readTexts(path, read, files, records, texts));
  for (std::string_view text : texts) bytes += text.size();
  Progress progress;
  options.train.progress = [&](size_t done, size_t total) {
    progress.show("learning merges", total ? static_cast<double>(done) / static_cast<double>(total) : 0);
    return true;
  };
  if (!options.special.empty()) options.train.special_tokens = options.special;
  LINNET_ASSIGN(Tokenizer tokenizer, trainBpe(texts, options.train));
  progress.clear();
  for (const std::string &line : said) note(line);
  LINNET_TRY(tokenizer.save(staging.path()));
  LINNET_TRY(staging.commit());
  if (options.json)
    printJson({{"output", options.output}, {"vocab_size", tokenizer.size()}, {"text_bytes", bytes}});
  else
    put("{}: {} tokens learned from {}\n", options.output, tokenizer.size(), bytesText(bytes));
  return {};
}

} // namespace tokenizer_train_command

void addTokenizer(CLI::App &app, Action &action) {
  using namespace tokenizer_train_command;
  CLI::App *group = app.add_subcommand("tokenizer", "train: learn a vocabulary from text");
  group->group("Text");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App *command = group->add_subcommand("train", "learn a byte-level BPE vocabulary from text files");
  command->add_option("FILES", options->files, "text files; of .json and .jsonl their texts")
      ->required()
      ->type_name("");
  command
      ->add_option("--vocab-size", options->train.vocab_size, "ids in all: special tokens, 256 bytes, merges")
      ->check(CLI::Range(size_t(256), size_t(kMaxTokenId)))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--min-frequency", options->train.min_frequency, "a pair that occurs less is not merged")
      ->check(CLI::Range(size_t(1), size_t(1) << 40))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--special", options->special, "a special token; repeatable (default: <|endoftext|>)")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  command->add_option("-o,--output", options->output, "directory to make")->required()->type_name("DIR");
  command->add_option("--text-column", options->text_column, "name or number of the column with texts")
      ->type_name("NAME");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet tokenizer train --vocab-size 300 -o vocabulary text.txt"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
