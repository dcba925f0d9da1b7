#include "versions.h"
#include "commands/devices.h"
#include "compiler.h"
#include "linnet/version.h"
#include "output.h"
#include "runtime/cpu/onednn.h"
#include "support/error.h"
#include "support/json.h"
#include "support/processor.h"

namespace linnet::cli {

Result<void> printVersions() {
  LINNET_TRY(checkProcessorVariable());
  Json json = {{"linnet", version()}, {"artifact_format", artifactFormatVersion()}};
  if (auto api = compiler("linnet --version")) {
    json["compiler"] = {{"linnet", std::string((*api)->producer).substr(std::string("linnet ").size())},
                        {"llvm", (*api)->llvm}};
  } else {
    json["compiler"] = nullptr;
    json["compiler_error"] = api.error().message;
  }
  if (auto found = cpu::matmulLibraryVersion()) {
    json["onednn"] = *found;
  } else {
    json["onednn"] = nullptr;
    json["onednn_error"] = found.error().message;
  }
  json["processor"] = {{"level", hostLevel()}, {"features", hostFeatures()}};
  json["devices"] = devicesJson();
  return printJson(json), Result<void>();
}

} // namespace linnet::cli
