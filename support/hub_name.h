// Names of models on the Hugging Face hub.
#pragma once
#include <string>

namespace linnet {

/// Whether `name` is OWNER/NAME or NAME of letters, digits, '-', '_' and '.'.
bool isHubName(const std::string &name);

/// A hint for the error that `path` does not exist: "; ..." with the command that downloads the model. Empty
/// unless the path looks like a model's name on the hub, or `published` is the name of its model there.
std::string pullHint(const std::string &path, const std::string &published = {});

} // namespace linnet
