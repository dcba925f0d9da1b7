// Downloads checkpoints from a Hugging Face hub. Interrupted downloads are resumed. A file gets its name only
// when it is complete and checked.
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
/// HF_ENDPOINT replaces https://huggingface.co. HF_TOKEN is sent to that host only, not along a redirect to
/// another one. HF_HUB_OFFLINE=1 uses no network and succeeds if the model exists locally. A broken
/// connection is retried and resumed, also by the next call (FILE.incomplete, with its ETag in
/// FILE.incomplete.etag). A file gets its name only when it has the size and the SHA-256 (X-Linked-Etag) that
/// the server gives. Existing files with the right hash are kept.
Result<std::string> pullCheckpoint(const std::string &model, const std::string &directory,
                                   const Progress &progress = {},
                                   std::chrono::milliseconds pause = std::chrono::milliseconds(400));

} // namespace linnet
