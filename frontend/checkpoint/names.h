// Names of tensors as training programs store them, and the canonical ones.
#pragma once
#include <string>
#include <string_view>

namespace linnet {

/// Without `body_prefix` ("transformer.", which the model with a head puts in front of its body's tensors),
/// and without what wrappers add: "_orig_mod." of torch.compile, "module." of DistributedDataParallel,
/// "base_model.model." of PEFT, "model." of Lightning, and what FSDP and activation checkpointing put between
/// the parts of a name.
std::string canonicalName(std::string_view stored, std::string_view body_prefix);

/// Parts of a PEFT adapter that was not merged into the model: they change the numbers.
bool isAdapterPart(std::string_view stored);

} // namespace linnet
