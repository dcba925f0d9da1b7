// Canonical names of tensors, from the names that training programs store.
#pragma once
#include <string>
#include <string_view>

namespace linnet {

/// The name without `body_prefix` (GPT-2's "transformer.") and without the prefixes of wrappers: "_orig_mod."
/// of torch.compile, "module." of DistributedDataParallel, "base_model.model." of PEFT, "model." of
/// Lightning, and those that FSDP and activation checkpointing insert between the parts of a name.
std::string canonicalName(std::string_view stored, std::string_view body_prefix);

/// Whether the tensor is a part of an unmerged PEFT adapter, which changes the numbers.
bool isAdapterPart(std::string_view stored);

} // namespace linnet
