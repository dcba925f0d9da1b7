// Downloads of checkpoints from a Hugging Face hub: resumed where they broke off, checked, and in place only
// when whole.
#pragma once
#include "frontend/checkpoint/init.h"
#include "support/result.h"

#include <chrono>
#include <string>

namespace linnet {

/// Downloads `model` (OWNER/NAME, revision main): config.json, model.safetensors or its shards,
/// and the tokenizer files that exist. `directory` empty: ${HF_HOME:-~/.cache/huggingface}/linnet/MODEL.
/// Returns the directory.
///
/// HF_ENDPOINT replaces https://huggingface.co; HF_TOKEN goes to that host only, never along a redirect to
/// another; HF_HUB_OFFLINE=1 touches no network and succeeds if the model is there. A broken connection is
/// retried and resumed, by the next call too (FILE.incomplete beside, with its ETag in FILE.incomplete.etag).
/// A file appears under its name only when it has the size and the SHA-256 (X-Linked-Etag) that the server
/// gives; files that are there already with the right hash are kept.
Result<std::string> pullCheckpoint(const std::string &model, const std::string &directory,
                                   const Progress &progress = {},
                                   std::chrono::milliseconds pause = std::chrono::milliseconds(400));

} // namespace linnet
