// linnet eval: the perplexity of a text.
#include "arguments.h"
#include "model.h"
#include "output.h"
#include "signals.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/text.h"
#include "training/records.h"

#include <chrono>
#include <memory>

namespace linnet::cli {
namespace eval_command {

struct Options {
  std::string file, text;
  DeviceOption device;
  int64_t stride = 0;
  bool json = false;
};

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(MappedFile file, training::openPlainText(options.text));
  LINNET_ASSIGN(std::string_view text, withoutByteOrderMark(file.text(), options.text));
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet eval"));
  if (!open.model.tokenizer())
    return errorf("{}: the model has no tokenizer, and --perplexity reads text", options.file);
  LINNET_ASSIGN(Encoding encoding, open.model.tokenizer()->encode(text));
  CancelOnSignal cancel(open.session);
  auto begin = std::chrono::steady_clock::now();
  LINNET_ASSIGN(Perplexity result, open.session.perplexity(encoding.ids, options.stride));
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  int64_t context = open.model.config().context;
  note(training::textsRead(options.text, 1, training::kWholeFile));
  if (options.json)
    printJson({{"texts", 1},
               {"perplexity", result.perplexity},
               {"nll", result.nll},
               {"tokens", encoding.ids.size()},
               {"predicted", result.tokens},
               {"context", context},
               {"stride", options.stride ? options.stride : context},
               {"seconds", seconds}});
  else
    put("perplexity {:.4f} ({:.4f} nats a token, {} of {} tokens predicted, context {}, stride {}, {})\n",
        result.perplexity, result.nll, result.tokens, encoding.ids.size(), context,
        options.stride ? options.stride : context, secondsText(seconds));
  return {};
}

} // namespace eval_command

void addEval(CLI::App &app, Action &action) {
  using namespace eval_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("eval", "perplexity of a text");
  command->group("Running");
  addModelOption(*command, options->file);
  command->add_option("--perplexity", options->text, "the text")->required()->type_name("FILE");
  command
      ->add_option("--stride", options->stride,
                   "tokens between the windows' starts (default: the context's length)")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 30).description(""))
      ->type_name("N");
  options->device.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet eval model.linnet --perplexity text.txt --stride 32"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
