// linnet classify: labels of texts, and the accuracy of a classifier.
#include "arguments.h"
#include "compiler.h"
#include "model.h"
#include "output.h"
#include "records_option.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"
#include "training/dataset.h"
#include "training/metrics.h"

#include <memory>

namespace linnet::cli {
namespace classify_command {

using namespace training;

struct Options {
  std::string model, text, label_column;
  RecordsOption texts;
  CLI::Option *text_option = nullptr;
  DeviceOption device;
  bool labels = false, json = false;
};

/// The meaning of an answer's numbers, from the model's configuration.
struct Meaning {
  LabelNames names;
  bool regression, several; ///< scores are the answer; several labels may apply
  explicit Meaning(const ModelConfig &config)
      : names(config.labels), regression(config.problem_type == ProblemType::Regression),
        several(config.problem_type == ProblemType::MultiLabel) {}
  /// Whether exactly one of two or more labels applies.
  bool oneOfSeveral() const { return !regression && !several && names.size() > 1; }
  const char *number() const { return regression ? "score" : "probability"; }
  double value(const Classification &answer, size_t label) const {
    return regression ? answer.scores[label] : answer.probabilities[label];
  }
};

/// If several labels may apply, a label applies from this probability on.
constexpr double kApplies = 0.5;

std::vector<std::string> applying(const Classification &answer, const Meaning &meaning) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < meaning.names.size(); ++i)
    if (answer.probabilities[i] >= kApplies) labels.push_back(meaning.names[i]);
  return labels;
}

Json answerJson(const Classification &answer, const Meaning &meaning) {
  Json probabilities = Json::object(), scores = Json::object(), json = Json::object();
  for (size_t i = 0; i < meaning.names.size(); ++i) {
    probabilities[meaning.names[i]] = answer.probabilities[i];
    scores[meaning.names[i]] = answer.scores[i];
  }
  if (meaning.oneOfSeveral()) json["label"] = meaning.names[answer.label];
  if (meaning.several) json["labels"] = applying(answer, meaning);
  if (!meaning.regression) json["probabilities"] = probabilities;
  json["scores"] = scores;
  return json;
}

/// The cells "ham", "0.9812". If the classifier does not choose one label, they have all labels and numbers.
std::vector<std::string> answerCells(const Classification &answer, const Meaning &meaning) {
  if (meaning.oneOfSeveral())
    return {meaning.names[answer.label], fmt::format("{:.4f}", answer.probabilities[answer.label])};
  std::vector<std::string> numbers;
  for (size_t i = 0; i < meaning.names.size(); ++i)
    numbers.push_back(fmt::format("{:.4f}", meaning.value(answer, i)));
  return {fmt::format("{}", fmt::join(meaning.names, ", ")), fmt::format("{}", fmt::join(numbers, ", "))};
}

void printAnswers(const std::vector<Classification> &answers, const std::vector<Record> &records,
                  const Meaning &meaning) {
  Table table("lrl", {"label", meaning.number(), "text"});
  constexpr size_t kTextShown = 60;
  for (size_t i = 0; i < answers.size(); ++i) {
    std::vector<std::string> row = answerCells(answers[i], meaning);
    row.push_back(quoted(std::string_view(records[i].text).substr(0, kTextShown)));
    table.add(std::move(row));
  }
  put(std::string_view(table.plain()));
}

void printAnswer(const Classification &answer, const Meaning &meaning) {
  Table table("lr", {"label", meaning.number()});
  for (size_t i = 0; i < meaning.names.size(); ++i)
    table.add({meaning.names[i], fmt::format("{:.6f}", meaning.value(answer, i))});
  put(std::string_view(table.plain()));
}

Json confusionJson(const Confusion &confusion, const LabelNames &names) {
  Json matrix = Json::array(), f1 = Json::object();
  for (size_t i = 0; i < names.size(); ++i) {
    Json row = Json::array();
    for (size_t k = 0; k < names.size(); ++k) row.push_back(confusion.at(i, k));
    matrix.push_back(row);
    f1[names[i]] = confusion.f1(i);
  }
  return {{"examples", confusion.total()},
          {"accuracy", confusion.accuracy()},
          {"f1", f1},
          {"macro_f1", confusion.macroF1()},
          {"largest_label_share", confusion.largestShare()},
          {"confusion", matrix}};
}

void printConfusion(const Confusion &confusion, const LabelNames &names) {
  put("accuracy {:.4f} of {} texts (always the most frequent label: {:.4f}), macro F1 {:.4f}\n",
      confusion.accuracy(), confusion.total(), confusion.largestShare(), confusion.macroF1());
  std::vector<std::string> header = {"in the file"};
  for (const std::string &name : names) header.push_back(name);
  for (const char *measure : {"precision", "recall", "F1"}) header.push_back(measure);
  Table table("l" + std::string(header.size() - 1, 'r'), header);
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<std::string> row = {names[i]};
    for (size_t k = 0; k < names.size(); ++k) row.push_back(std::to_string(confusion.at(i, k)));
    for (double value : {confusion.precision(i), confusion.recall(i), confusion.f1(i)})
      row.push_back(fmt::format("{:.4f}", value));
    table.add(std::move(row));
  }
  put(std::string_view(table.plain("  ")));
}

Result<std::vector<Record>> recordsOf(Options &options) {
  if (*options.text_option) {
    LINNET_ASSIGN(std::string text, textOrStdin(options.text));
    if (text.empty()) return Error{"--text is empty: there is nothing to classify"};
    return std::vector<Record>{{text, {}, 0, 1}};
  }
  ReadOptions read;
  read.label_column = options.label_column;
  read.labels = options.labels;
  return options.texts.read(read);
}

Result<std::vector<std::vector<TokenId>>> idsOf(const std::vector<Record> &records, const Model &model,
                                                const std::string &where) {
  if (!model.tokenizer())
    return errorf("{}: the classifier has no tokenizer to read texts with", model.path());
  std::vector<std::vector<TokenId>> texts;
  for (const Record &record : records) {
    auto encoding = model.tokenizer()->encode(record.text);
    if (!encoding) return errorf("{}: line {}: {}", where, record.line, encoding.error().message);
    if (encoding->ids.empty()) return errorf("{}: line {}: the text is empty", where, record.line);
    texts.push_back(std::move(encoding->ids));
  }
  return texts;
}

Result<void> execute(Options &options) {
  LINNET_ASSIGN(std::vector<Record> records, recordsOf(options));
  LINNET_ASSIGN(OpenModel open,
                openModel(options.model, options.device, "linnet classify", ModelKind::Classifier));
  const Meaning meaning(open.model.config());
  const LabelNames &names = meaning.names;
  std::vector<int32_t> truth;
  if (options.labels && !meaning.oneOfSeveral())
    return errorf("{}: --labels counts which one of several labels is right; this classifier gives {}",
                  options.model,
                  meaning.regression ? "scores"
                  : meaning.several  ? "several labels at once"
                                     : "one probability");
  if (options.labels) {
    LINNET_ASSIGN(truth, labelIds(records, names, options.texts.file));
  }
  LINNET_ASSIGN(const auto texts,
                idsOf(records, open.model, *options.text_option ? "--text" : options.texts.file));
  CancelOnSignal cancel(open.session);
  if (!options.texts.said.empty()) note(options.texts.said);
  Progress progress;
  LINNET_ASSIGN(std::vector<Classification> answers, open.session.classify(texts, [&](double fraction) {
    progress.show("classifying", fraction);
  }));
  progress.clear();
  Confusion confusion(names.size());
  for (size_t i = 0; i < truth.size(); ++i) confusion.add(static_cast<size_t>(truth[i]), answers[i].label);
  if (options.json) {
    Json list = Json::array();
    for (const Classification &answer : answers) list.push_back(answerJson(answer, meaning));
    Json json = {{"texts", records.size()}, {"labels", names}, {"answers", list}};
    if (options.labels) json["measures"] = confusionJson(confusion, names);
    printJson(json);
  } else if (*options.text_option) {
    printAnswer(answers[0], meaning);
  } else if (options.labels) {
    printConfusion(confusion, names);
  } else {
    printAnswers(answers, records, meaning);
  }
  return {};
}

} // namespace classify_command

void addClassify(CLI::App &app, Action &action) {
  using namespace classify_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("classify", "what a classifier says of texts");
  command->group("Running");
  addModelOption(*command, options->model, "FILE.linnet of a classifier");
  options->text_option =
      command->add_option("--text", options->text, "the text; - reads standard input")->type_name("TEXT");
  auto *file = options->texts.add(*command);
  options->text_option->excludes(file);
  command->add_flag("--labels", options->labels, "the file has labels: accuracy, F1 and the confusion matrix")
      ->needs(file);
  command->add_option("--label-column", options->label_column, "name or number of the column with labels")
      ->type_name("NAME");
  options->device.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet init --preset tiny --labels ham,spam classifier\n"
                          "  linnet compile classifier -o classifier.linnet\n"
                          "  linnet classify classifier.linnet --text \"You won a prize, call now\""));
  command->callback([options, &action] {
    if (!*options->text_option && options->texts.file.empty())
      usageError("expected --text TEXT or --file FILE");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
