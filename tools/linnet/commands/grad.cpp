// linnet grad: the loss of a batch, and its gradient by every parameter.
#include "arguments.h"
#include "compiler.h"
#include "npy.h"
#include "output.h"
#include "support/error.h"
#include "support/json.h"

#include <cstring>
#include <memory>

namespace linnet::cli {
namespace grad_command {

struct Options {
  std::string model, ids, labels, output, device = "cpu";
  int threads = 0;
  bool onednn = true, json = false;
};

/// Reads integers from a .npy file.
Result<void> readIntegers(const std::string &path, std::vector<int64_t> &shape,
                          std::vector<int64_t> &values) {
  LINNET_ASSIGN(NpyArray array, readNpy(path));
  if (array.type != "<i8" && array.type != "<i4")
    return errorf("{}: expected int64 (<i8) or int32 (<i4), found {}", path, array.type);
  shape = array.shape;
  size_t bytes = array.type == "<i8" ? 8 : 4;
  values.resize(array.data.size() / bytes);
  for (size_t i = 0; i < values.size(); ++i)
    if (bytes == 8) {
      std::memcpy(&values[i], array.data.data() + 8 * i, 8);
    } else {
      int32_t narrow;
      std::memcpy(&narrow, array.data.data() + 4 * i, 4);
      values[i] = narrow;
    }
  return {};
}

Result<void> execute(const Options &options) {
  GradientOptions request;
  request.input = options.model, request.output = options.output, request.device = options.device;
  request.threads = options.threads, request.onednn = options.onednn;
  request.ids_name = options.ids, request.labels_name = options.labels;
  LINNET_TRY(readIntegers(options.ids, request.ids_shape, request.ids));
  LINNET_TRY(readIntegers(options.labels, request.labels_shape, request.labels));
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet grad"));
  api->registerDevices();
  LINNET_ASSIGN(GradientReport report, api->gradients(request));
  if (options.json)
    printJson({{"loss", report.loss},
               {"counted", report.counted},
               {"gradients", report.gradients},
               {"output", options.output}});
  else
    put("loss {:.6f} over {} labels; {}: loss and {} gradients\n", report.loss, report.counted,
        options.output, report.gradients);
  return {};
}

} // namespace grad_command

void addGrad(CLI::App &app, Action &action) {
  using namespace grad_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("grad", "the loss of a batch and its gradient by every parameter");
  command->group("Training");
  command->add_option("MODEL", options->model, "checkpoint")->required()->type_name("");
  command->add_option("--ids", options->ids, "token ids [B, T], int64")->required()->type_name("FILE.npy");
  command
      ->add_option("--labels", options->labels,
                   "what each position is to predict [B, T], int64, -100: nothing; of a classifier [B]")
      ->required()
      ->type_name("FILE.npy");
  command->add_option("-o,--output", options->output, "loss and gradients by the parameters' names, float32")
      ->required()
      ->type_name("FILE.safetensors");
  command
      ->add_option("--target,--device", options->device,
                   "what computes: cpu, vulkan (one by vulkan:N or vulkan:NAME), or reference")
      ->type_name("D")
      ->capture_default_str();
  command->add_option("-t,--threads", options->threads, "threads (default: the machine's cores)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N");
  addOneDnnOption(*command, options->onednn);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet grad model --ids ids.npy --labels labels.npy -o grad.safetensors"));
  command->callback([options, &action] {
    checkOneDnnOption(options->onednn, {options->device}, "--device");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
