// Small artifacts for the tests of the runtime, and a device that executes a toy language model.
#pragma once
#include "linnet/linnet.h"
#include "runtime/artifact/writer.h"
#include "runtime/device.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fixtures {
using namespace linnet;

/// A directory that the destructor removes.
class TemporaryDirectory {
public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::string operator/(const std::string &name) const { return path + "/" + name; }
  std::string path;
};

std::vector<std::byte> readBytes(const std::string &path);
void writeBytes(const std::string &path, std::span<const std::byte> bytes);

// Pieces of metadata.
std::unique_ptr<fb::ExprT> constant(int64_t value);
std::unique_ptr<fb::ExprT> symbol(uint8_t index, int64_t coefficient = 1);
std::unique_ptr<fb::ExprT> product(std::vector<uint8_t> symbols, int64_t coefficient = 1);
std::unique_ptr<fb::PortT> port(std::string name, fb::DType type,
                                std::vector<std::unique_ptr<fb::ExprT>> shape, uint64_t offset,
                                uint64_t bytes);
std::unique_ptr<fb::RefT> ref(fb::Space space, uint32_t index, uint64_t offset, uint64_t size);
template <class... Exprs> std::vector<std::unique_ptr<fb::ExprT>> shape(Exprs... exprs) {
  std::vector<std::unique_ptr<fb::ExprT>> list;
  (list.push_back(std::move(exprs)), ...);
  return list;
}

/// A weight "w" with these numbers.
std::unique_ptr<fb::WeightT> weightOf(ArtifactWriter &writer, std::span<const float> values);
/// Adds one float "counter" as the program's first state.
void addCounter(fb::ProgramT &program);
/// Writes an artifact with only this program; throws on failure.
void finish(ArtifactWriter &writer, std::unique_ptr<fb::ProgramT> program);

/// A tokenizer of the 256 bytes and "<|endoftext|>", id 256.
Tokenizer byteTokenizer();

struct ToyModel {
  int64_t vocab = 300, n_embd = 6, n_layer = 2, context = 48, max_batch = 4, max_seq = 5, score_seq = 3;
  bool tokenizer = true, token_output = true, sample_entry = false;
  int64_t eos = 256;
  std::string generation = {};          ///< JSON, the config's "generation_config"; empty: none
  std::vector<std::string> labels = {}; ///< some: a classifier
  std::string problem_type = {}, pooling = "last";
  int64_t pad = -1;
};
/// A model for the device "fake" with the entries of a compiled GPT-2 and no commands.
void writeToyModel(const std::string &path, const ToyModel &toy = {});

/// Settings of the fake device. Its logits depend on all earlier tokens, which it reads from a cache with the
/// rows and the capacity of a real one. So a wrong past, row or chunk gives other tokens.
struct FakeSwitches {
  /// Not empty: the likeliest token at position p (of p tokens before) is script[p].
  std::vector<TokenId> script;
  std::function<void()> on_run; ///< called in each run
  bool scores_nan = false;      ///< a classifier's scores are NaN
  TokenId nan_after = -1;       ///< logits after a text that ends with this token are NaN; -1: never
  std::atomic<int64_t> runs{0}, largest_batch{0}, largest_seq{0}, copies{0};
  int64_t loop_steps = 0; ///< the most steps of a loop; 0: the device has none
  std::atomic<int64_t> largest_loop{0};
};
FakeSwitches &fake();
/// Registers the device "fake"; may be called again, which also resets the switches.
void useFakeDevice();
/// The toy model's logits of the token after `ids`. The first ones are also a classifier's scores.
std::vector<float> toyLogits(const ToyModel &toy, std::span<const TokenId> ids);
float toyHidden(std::span<const TokenId> ids, int64_t layer, int64_t channel);

} // namespace fixtures
