// Names of tensors as training programs store them, and the canonical ones.
#pragma once
#include <string>
#include <string_view>

namespace linnet {

/// Without what wrappers of the model add: "transformer." of GPT2LMHeadModel, "_orig_mod." of torch.compile,
/// "module." of DistributedDataParallel, "base_model.model." of PEFT, "model." of Lightning, and what FSDP
/// and activation checkpointing put between the parts of a name.
std::string canonicalName(std::string_view stored);

/// h.N.attn.bias and h.N.attn.masked_bias: the causal mask as a buffer, in old exports.
bool isMaskBuffer(std::string_view canonical);

/// Parts of a PEFT adapter that was not merged into the model: they change the numbers.
bool isAdapterPart(std::string_view stored);

} // namespace linnet
