// Names of models on the Hugging Face hub.
#pragma once
#include <string>

namespace linnet {

/// OWNER/NAME or NAME, of letters, digits, '-', '_' and '.'.
bool isHubName(const std::string &name);

/// What to add to the error that `path` does not exist: "; ..." with the command that downloads the model,
/// where the path is written as a model's name on the hub, or is known as that of the model `published`. Else
/// nothing.
std::string pullHint(const std::string &path, const std::string &published = {});

} // namespace linnet
