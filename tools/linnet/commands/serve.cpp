// linnet serve: a model behind OpenAI's HTTP API.
#include "server/serve.h"
#include "arguments.h"
#include "chat_option.h"
#include "model.h"
#include "output.h"
#include "pooling_option.h"
#include "signals.h"
#include "support/error.h"

#include <memory>
#include <sys/stat.h>

namespace linnet::cli {
namespace serve_command {

/// Texts at a time for which a checkpoint is compiled.
constexpr int64_t kUsualBatch = 8;

struct Options {
  std::string file, pooling = "last";
  int port = 8080;
  ChatOption chat;
  DeviceOption device;
  server::ServeOptions serve;
  uint64_t max_body_mib = 4;
};

/// How clients call a model without --model-name: the name of its file or folder, without an ending.
std::string nameOf(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::string name = path.substr(path.rfind('/') + 1);
  for (const char *ending : {".linnet", ".gguf", ".safetensors"})
    if (name.ends_with(ending) && name != ending) name.resize(name.size() - std::string_view(ending).size());
  return name;
}

Result<void> execute(Options &options) {
  server::ServeOptions &serve = options.serve;
  LINNET_ASSIGN(const std::string artifact, artifactOf(options.file, options.device, "linnet serve",
                                                       serve.max_batch ? serve.max_batch : kUsualBatch));
  LINNET_ASSIGN(const Model model,
                Model::load(artifact, {.device = options.device.device, .threads = options.device.threads}));
  if (serve.name.empty()) serve.name = nameOf(options.file);
  serve.pooling = poolingOf(options.pooling);
  serve.http.port = static_cast<uint16_t>(options.port);
  serve.http.max_body = options.max_body_mib << 20;
  Result<chat::Template> chat = options.chat.templateFor(model);
  if (!chat && options.chat.given()) return chat.error();
  if (!chat && model.tokenizer() && !model.config().classifies())
    note(chat.error().message + "; no /v1/chat/completions");
  NoteSignals signals;
  LINNET_TRY(server::serve(
      model, serve, std::move(chat),
      [&](uint16_t port, bool loopback) {
        if (serve.key_file.empty() && !loopback)
          note("anyone who can reach this address may use the model: --api-key-file asks clients for a key");
        const bool v6 = serve.http.host.find(':') != std::string::npos;
        put("serving {} on {} at http://{}{}{}:{}\n", serve.name, model.device(), v6 ? "[" : "",
            serve.http.host, v6 ? "]" : "", port);
        flush();
      },
      [] { return interrupted() != 0; }));
  answerSignal(); // all answers were sent: the program has ended as it was asked to
  return {};
}

} // namespace serve_command

void addServe(CLI::App &app, Action &action) {
  using namespace serve_command;
  auto options = std::make_shared<Options>();
  server::ServeOptions &serve = options->serve;
  CLI::App *command = app.add_subcommand("serve", "a model behind OpenAI's HTTP API, with a page to try it");
  command->group("Running");
  addModelOption(*command, options->file);
  command->add_option("--host", serve.http.host, "the address to listen on; 0.0.0.0 or :: for all")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--port", options->port, "0: one that is free, which is printed")
      ->check(CLI::Range(0, 65535).description(""))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--model-name", serve.name, "the model's name for clients (default: that of MODEL)")
      ->type_name("NAME");
  command->add_option("--api-key-file", serve.key_file, "clients must show one of these keys, one a line")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  const auto range = [](int64_t low, int64_t high) { return CLI::Range(low, high).description(""); };
  command
      ->add_option("--max-batch", serve.max_batch,
                   "most texts at once (default: as many as an artifact allows, else 8)")
      ->check(range(1, int64_t(1) << 20))
      ->type_name("N");
  command->add_option("--max-queue", serve.max_queue, "most texts that wait; beyond it, requests get 429")
      ->check(range(0, int64_t(1) << 20))
      ->type_name("N")
      ->capture_default_str();
  constexpr double kShortest = 0.01, kLongest = 1e6;
  command->add_option("--timeout", serve.timeout_seconds, "seconds from a request to the end of its answer")
      ->check(numberIn(kShortest, kLongest))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--client-timeout", serve.http.client_seconds,
                   "seconds that a client has to send a request, and between two reads of an answer")
      ->check(numberIn(kShortest, kLongest))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--idle-timeout", serve.http.idle_seconds,
                   "seconds that a connection may be without a request")
      ->check(numberIn(kShortest, kLongest))
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--max-connections", serve.http.max_connections, "most connections at once")
      ->check(range(1, int64_t(1) << 20))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--max-body", options->max_body_mib, "most MiB of a request's body")
      ->check(range(1, int64_t(1) << 10))
      ->type_name("MIB")
      ->capture_default_str();
  command->add_flag("--metrics", serve.metrics, "/metrics, in the text format of Prometheus");
  addPooling(*command, options->pooling, "of /v1/embeddings: last or first position, or mean of all");
  options->chat.addTemplate(*command);
  options->device.add(*command);
  command->footer(example("  linnet serve model.linnet --port 8080 --metrics"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
