#include "training/dataset.h"
#include "support/error.h"
#include "training/shuffle.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

namespace linnet::training {
namespace {

std::optional<int64_t> wholeNumber(std::string_view text) {
  int64_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

} // namespace

Result<LabelNames> labelsIn(const std::vector<Record> &records, const std::string &where) {
  std::set<std::string> names;
  for (const Record &record : records) names.insert(record.label);
  if (names.size() < 2)
    return errorf("{}: every text has the label \"{}\"; a classifier needs at least two labels", where,
                  names.empty() ? "" : *names.begin());
  LabelNames list(names.begin(), names.end());
  LabelNames numbered(list.size());
  for (const std::string &name : list) {
    auto number = wholeNumber(name);
    bool fits = number && *number >= 0 && *number < static_cast<int64_t>(list.size()) &&
                std::to_string(*number) == name;
    if (!fits) return list;
    numbered[static_cast<size_t>(*number)] = name;
  }
  return numbered;
}

Result<std::vector<int32_t>> labelIds(const std::vector<Record> &records, const LabelNames &names,
                                      const std::string &where) {
  std::map<std::string, int32_t, std::less<>> ids;
  for (size_t i = 0; i < names.size(); ++i) ids[names[i]] = static_cast<int32_t>(i);
  std::vector<int32_t> out;
  for (const Record &record : records) {
    auto found = ids.find(record.label);
    auto number = found == ids.end() ? wholeNumber(record.label) : std::nullopt;
    if (found != ids.end())
      out.push_back(found->second);
    else if (number && *number >= 0 && *number < static_cast<int64_t>(names.size()))
      out.push_back(static_cast<int32_t>(*number));
    else if (number)
      return errorf("{}: line {}: label {} is out of range, expected 0 to {}", where, record.line, *number,
                    names.size() - 1);
    else
      return errorf("{}: line {}: label \"{}\" is none of {}", where, record.line, record.label.substr(0, 40),
                    fmt::join(names, ", "));
  }
  return out;
}

namespace {

void holdOut(std::vector<size_t> members, double share, uint64_t seed, uint32_t group, Split &split) {
  shuffle(members, seed, Purpose::Split, group);
  auto size = static_cast<double>(members.size());
  auto held = static_cast<size_t>(std::llround(size * share));
  if (share > 0 && members.size() > 1) held = std::clamp<size_t>(held, 1, members.size() - 1);
  held = std::min(held, members.size());
  split.held_out.insert(split.held_out.end(), members.begin(),
                        members.begin() + static_cast<std::ptrdiff_t>(held));
  split.train.insert(split.train.end(), members.begin() + static_cast<std::ptrdiff_t>(held), members.end());
}

void inOrder(Split &split) {
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.held_out.begin(), split.held_out.end());
}

} // namespace

Split splitByLabel(const std::vector<int32_t> &labels, double share, uint64_t seed) {
  std::map<int32_t, std::vector<size_t>> groups;
  for (size_t i = 0; i < labels.size(); ++i) groups[labels[i]].push_back(i);
  Split split;
  for (auto &[label, members] : groups) holdOut(members, share, seed, static_cast<uint32_t>(label), split);
  inOrder(split);
  return split;
}

Split splitEvenly(size_t count, double share, uint64_t seed) {
  return splitByLabel(std::vector<int32_t>(count, 0), share, seed);
}

void TokenStream::push(TokenId id, bool is_learned) {
  ids.push_back(id);
  learned.push_back(is_learned);
}

StreamWriter::StreamWriter(const Tokenizer &tokenizer, std::optional<TokenId> end, std::string where)
    : tokenizer(tokenizer), where(std::move(where)) {
  TokenizerParts parts = tokenizer.parts();
  prefix = std::move(parts.prefix);
  suffix = std::move(parts.suffix);
  if (end && (suffix.empty() || suffix.back() != *end)) suffix.push_back(*end);
}

void StreamWriter::addStart(TokenStream &stream, bool learned) const {
  for (TokenId id : prefix) stream.push(id, learned);
}

Result<void> StreamWriter::addPart(std::string_view text, int64_t line, bool learned,
                                   TokenStream &stream) const {
  Result<Encoding> encoding = tokenizer.encode(text, {.add_special_tokens = false});
  if (!encoding) return errorf("{}: line {}: {}", where, line, encoding.error().message);
  for (TokenId id : encoding->ids) stream.push(id, learned);
  return {};
}

void StreamWriter::addEnd(TokenStream &stream) const {
  for (TokenId id : suffix) stream.push(id, true);
}

Result<void> StreamWriter::addRecord(const Record &record, TokenStream &stream) const {
  std::string_view text = record.text;
  addStart(stream, !record.learned_from);
  if (record.learned_from)
    LINNET_TRY(addPart(text.substr(0, record.learned_from), record.line, false, stream));
  LINNET_TRY(addPart(text.substr(record.learned_from), record.line, true, stream));
  addEnd(stream);
  return {};
}

Result<TokenStream> streamOf(const std::vector<Record> &records, const std::vector<size_t> &which,
                             const Tokenizer &tokenizer, std::optional<TokenId> end,
                             const std::string &where) {
  StreamWriter writer(tokenizer, end, where);
  TokenStream stream;
  for (size_t i : which) LINNET_TRY(writer.addRecord(records[i], stream));
  return stream;
}

namespace {

class PackedBatches : public BatchSource {
public:
  PackedBatches(TokenStream s, int64_t rows, int64_t seq, uint64_t seed, bool shuffled)
      : stream(std::move(s)), rows(rows), seq(seq), seed(seed), shuffled(shuffled) {
    predicted = static_cast<int64_t>(stream.ids.size()) - 1;
    windows = (predicted + seq - 1) / seq;
  }

  int64_t count() const override { return (windows + rows - 1) / rows; }

  Batch at(uint32_t epoch, int64_t index) const override {
    if (shuffled && (order.empty() || order_epoch != epoch)) {
      order = permutation(static_cast<size_t>(windows), seed, Purpose::Order, epoch);
      order_epoch = epoch;
    }
    // The windows exceed the stream by `overhang` tokens in all, some of them before its start.
    auto overhang = static_cast<uint64_t>(windows * seq - predicted);
    int64_t before = shuffled && overhang
                         ? static_cast<int64_t>(drawBelow(overhang + 1, seed, Purpose::Offset, epoch, 0))
                         : 0;
    Batch batch;
    batch.rows = std::min(rows, windows - index * rows);
    std::vector<int64_t> starts;
    for (int64_t row = 0; row < batch.rows; ++row) {
      int64_t number = index * rows + row;
      if (shuffled) number = static_cast<int64_t>(order[static_cast<size_t>(number)]);
      int64_t start = number * seq - before, end = std::min(start + seq, predicted);
      starts.push_back(std::max<int64_t>(start, 0));
      batch.numbers.push_back(number);
      batch.length.push_back(static_cast<int32_t>(end - starts.back()));
      batch.seq = std::max<int64_t>(batch.seq, batch.length.back());
    }
    batch.ids.assign(static_cast<size_t>(batch.rows * batch.seq), 0);
    batch.labels.assign(batch.ids.size(), -1);
    for (int64_t row = 0; row < batch.rows; ++row) fill(batch, row, starts[static_cast<size_t>(row)]);
    return batch;
  }

private:
  void fill(Batch &batch, int64_t row, int64_t start) const {
    for (int64_t t = 0; t < batch.length[static_cast<size_t>(row)]; ++t) {
      auto to = static_cast<size_t>(row * batch.seq + t), from = static_cast<size_t>(start + t);
      batch.ids[to] = stream.ids[from];
      if (!stream.learned[from + 1]) continue;
      batch.labels[to] = stream.ids[from + 1];
      ++batch.counted;
    }
  }

  TokenStream stream;
  int64_t rows, seq, predicted = 0, windows = 0;
  uint64_t seed;
  bool shuffled;
  mutable std::vector<size_t> order; // of order_epoch
  mutable uint32_t order_epoch = 0;
};

/// Batches of examples in random order. The subclass defines the contents of a batch.
class ExampleBatches : public BatchSource {
public:
  ExampleBatches(size_t examples, int64_t rows, uint64_t seed, bool shuffled)
      : examples(examples), rows(static_cast<size_t>(rows)), seed(seed), shuffled(shuffled) {}

  int64_t count() const override { return static_cast<int64_t>((examples + rows - 1) / rows); }

  Batch at(uint32_t epoch, int64_t index) const override {
    if (order.empty() || (shuffled && order_epoch != epoch)) reorder(epoch);
    size_t begin = batch_order[static_cast<size_t>(index)] * rows, end = std::min(begin + rows, examples);
    return make({order.begin() + static_cast<std::ptrdiff_t>(begin),
                 order.begin() + static_cast<std::ptrdiff_t>(end)});
  }

protected:
  virtual Batch make(const std::vector<size_t> &members) const = 0;
  virtual size_t lengthOf(size_t example) const { return 0; }

private:
  void reorder(uint32_t epoch) const {
    constexpr size_t kBatchesSorted = 16;
    order_epoch = epoch;
    order.resize(examples);
    batch_order.resize(static_cast<size_t>(count()));
    std::iota(order.begin(), order.end(), size_t(0));
    std::iota(batch_order.begin(), batch_order.end(), size_t(0));
    if (!shuffled) return;
    shuffle(order, seed, Purpose::Order, epoch);
    auto at = [&](size_t i) { return order.begin() + static_cast<std::ptrdiff_t>(std::min(i, examples)); };
    for (size_t begin = 0; begin < examples; begin += kBatchesSorted * rows)
      std::stable_sort(at(begin), at(begin + kBatchesSorted * rows),
                       [&](size_t a, size_t b) { return lengthOf(a) < lengthOf(b); });
    shuffle(batch_order, seed, Purpose::Buckets, epoch);
  }

  size_t examples, rows;
  uint64_t seed;
  bool shuffled;
  mutable std::vector<size_t> order, batch_order; // of order_epoch
  mutable uint32_t order_epoch = 0;
};

class PaddedBatches : public ExampleBatches {
public:
  PaddedBatches(std::vector<Example> list, int64_t rows, uint64_t seed, bool shuffled)
      : ExampleBatches(list.size(), rows, seed, shuffled), list(std::move(list)) {}

private:
  size_t lengthOf(size_t example) const override { return list[example].ids.size(); }
  Batch make(const std::vector<size_t> &members) const override {
    Batch batch;
    batch.rows = batch.counted = static_cast<int64_t>(members.size());
    for (size_t i : members) {
      batch.numbers.push_back(static_cast<int64_t>(i));
      batch.labels.push_back(list[i].label);
      batch.length.push_back(static_cast<int32_t>(list[i].ids.size()));
      batch.seq = std::max(batch.seq, static_cast<int64_t>(list[i].ids.size()));
    }
    batch.ids.assign(static_cast<size_t>(batch.rows * batch.seq), 0);
    for (size_t row = 0; row < members.size(); ++row)
      std::copy(list[members[row]].ids.begin(), list[members[row]].ids.end(),
                batch.ids.begin() + static_cast<std::ptrdiff_t>(row * static_cast<size_t>(batch.seq)));
    return batch;
  }
  std::vector<Example> list;
};

class FeatureBatches : public ExampleBatches {
public:
  FeatureBatches(Features f, int64_t rows, uint64_t seed, bool shuffled)
      : ExampleBatches(f.labels.size(), rows, seed, shuffled), features(std::move(f)) {}

private:
  Batch make(const std::vector<size_t> &members) const override {
    Batch batch;
    batch.rows = batch.counted = static_cast<int64_t>(members.size());
    for (size_t i : members) {
      batch.numbers.push_back(static_cast<int64_t>(i));
      batch.labels.push_back(features.labels[i]);
      auto row = features.values.begin() + static_cast<std::ptrdiff_t>(i) * features.width;
      batch.features.insert(batch.features.end(), row, row + features.width);
    }
    return batch;
  }
  Features features;
};

} // namespace

Result<std::unique_ptr<BatchSource>> packedBatches(TokenStream stream, int64_t rows, int64_t seq,
                                                   uint64_t seed, bool shuffled) {
  if (stream.ids.size() < 2)
    return errorf("expected at least 2 tokens to learn from, found {}", stream.ids.size());
  return std::unique_ptr<BatchSource>(
      std::make_unique<PackedBatches>(std::move(stream), rows, seq, seed, shuffled));
}

Result<std::vector<Example>> examplesOf(const std::vector<Record> &records,
                                        const std::vector<int32_t> &labels, const Tokenizer &tokenizer,
                                        size_t max_seq, const std::string &where, size_t &cut) {
  std::vector<Example> examples;
  cut = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    Result<Encoding> encoding = tokenizer.encode(records[i].text);
    if (!encoding) return errorf("{}: line {}: {}", where, records[i].line, encoding.error().message);
    if (encoding->ids.size() > max_seq) {
      encoding->ids.resize(max_seq);
      ++cut;
    }
    examples.push_back({std::move(encoding->ids), i < labels.size() ? labels[i] : 0});
  }
  return examples;
}

std::vector<size_t> sortByLength(std::vector<Example> &examples) {
  std::vector<size_t> order(examples.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return examples[a].ids.size() < examples[b].ids.size(); });
  std::vector<Example> sorted;
  for (size_t i : order) sorted.push_back(std::move(examples[i]));
  examples = std::move(sorted);
  return order;
}

std::unique_ptr<BatchSource> paddedBatches(std::vector<Example> examples, int64_t rows, uint64_t seed,
                                           bool shuffled) {
  return std::make_unique<PaddedBatches>(std::move(examples), rows, seed, shuffled);
}

std::unique_ptr<BatchSource> featureBatches(Features features, int64_t rows, uint64_t seed, bool shuffled) {
  return std::make_unique<FeatureBatches>(std::move(features), rows, seed, shuffled);
}

} // namespace linnet::training
