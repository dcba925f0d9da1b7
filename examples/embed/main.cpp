// Embeds Linnet: embed MODEL.linnet PROMPT [TOKENS] streams a continuation, and ctrl-C ends it early.
#include <linnet/linnet.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

static linnet::Session *running = nullptr; // what ctrl-C cancels

static int fail(const linnet::Error &error) {
  std::cerr << "embed: " << error.message << "\n";
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) return fail({"usage: embed MODEL.linnet PROMPT [TOKENS]"});
  auto model = linnet::Model::load(argv[1]);
  if (!model) return fail(model.error());
  if (!model->tokenizer()) return fail({"the model has no tokenizer"});
  auto session = linnet::Session::open(*model);
  if (!session) return fail(session.error());
  auto prompt = model->tokenizer()->encode(argv[2]);
  if (!prompt) return fail(prompt.error());

  running = &*session;
  std::signal(SIGINT, [](int) { running->cancel(); });

  linnet::GenerateOptions options = model->generation(); // what the checkpoint asks for
  options.max_new_tokens = argc > 3 ? std::atoi(argv[3]) : 32;
  auto result = session->generate(prompt->ids, options, [](linnet::TokenId, std::string_view text) {
    std::cout << text << std::flush;
    return true; // false ends the generation
  });
  if (!result) return fail(result.error());
  std::cout << "\n";
  std::cerr << linnet::finishReasonName(result->finish_reason) << ": " << result->timings.generated_tokens
            << " tokens, the first after " << result->timings.prompt_seconds << " s\n";
}
