// Forks of sessions, and rows of states that leave a device and come back.
#include "runtime/state_rows.h"
#include "tests/catch.h"
#include "tests/runtime/fixtures.h"

#include <algorithm>
#include <optional>

using namespace fixtures;

namespace {

struct ForkToy {
  explicit ForkToy(int64_t loop_steps = 0) {
    useFakeDevice();
    fake().loop_steps = loop_steps;
    writeToyModel(directory / "toy.linnet", toy);
    auto loaded = Model::load(directory / "toy.linnet");
    REQUIRE(loaded.ok());
    model.emplace(std::move(*loaded));
  }
  Session open() { return std::move(*Session::open(*model)); }
  /// The definition of a greedy text: `ids` and `count` tokens after them.
  std::vector<TokenId> continued(std::vector<TokenId> ids, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      const auto logits = toyLogits(toy, ids);
      ids.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    }
    return ids;
  }
  ToyModel toy;
  TemporaryDirectory directory;
  std::optional<Model> model;
};

std::vector<TokenId> words(size_t n, size_t seed = 1) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>((i * 37 + seed * 11) % 250));
  return ids;
}

std::vector<TokenId> joined(std::vector<TokenId> ids, const std::vector<TokenId> &more) {
  ids.insert(ids.end(), more.begin(), more.end());
  return ids;
}

Session forkOf(Session &session) {
  auto fork = session.fork();
  INFO((fork ? "" : fork.error().message));
  REQUIRE(fork.ok());
  return std::move(*fork);
}

/// `text` and the tokens that the session generates after `prompt`.
std::vector<TokenId> turn(Session &session, std::vector<TokenId> text, const std::vector<TokenId> &prompt,
                          int64_t count) {
  auto result = session.generate(prompt, {.max_new_tokens = count, .ignore_eos = true});
  INFO((result ? "" : result.error().message));
  REQUIRE(result.ok());
  return joined(joined(std::move(text), prompt), result->ids);
}

} // namespace

TEST_CASE("a fork continues as the original would, and neither influences the other") {
  for (int64_t loop_steps : {0, 7}) {
    ForkToy t(loop_steps);
    std::optional<Session> session = t.open();
    const auto begin = turn(*session, {}, words(7), 5);
    Session fork = forkOf(*session);
    CHECK(fork.position() == 12);
    const auto of_fork = turn(fork, begin, words(3, 2), 6);
    CHECK(of_fork == t.continued(joined(begin, words(3, 2)), 6));
    const auto of_session = turn(*session, begin, words(4, 5), 6);
    CHECK(of_session == t.continued(joined(begin, words(4, 5)), 6));
    Session second = forkOf(fork); // of a fork
    CHECK(turn(*session, of_session, {}, 4) == t.continued(of_session, 4));
    session.reset(); // forks outlive it
    CHECK(turn(fork, of_fork, {}, 4) == t.continued(of_fork, 4));
    CHECK(turn(second, of_fork, {}, 4) == t.continued(of_fork, 4));
  }
}

TEST_CASE("a fork rewinds and resets alone") {
  ForkToy t;
  Session session = t.open();
  const auto begin = turn(session, {}, words(9), 6);
  Session fork = forkOf(session);
  fork.rewind(5);
  CHECK(fork.position() == 5);
  CHECK(session.position() == 15);
  const std::vector<TokenId> kept(begin.begin(), begin.begin() + 5);
  CHECK(turn(fork, kept, words(2, 8), 5) == t.continued(joined(kept, words(2, 8)), 5));
  CHECK(turn(session, begin, {}, 3) == t.continued(begin, 3));
  Session other = forkOf(session);
  session.reset();
  CHECK(other.position() == 18);
  session.rewind(3);
  CHECK(session.position() == 0);
  fork.reset();
  CHECK(turn(fork, {}, words(4), 3) == t.continued(words(4), 3));
}

TEST_CASE("forks of an empty session, of a full one, and of one with a cancellation") {
  ForkToy t;
  Session session = t.open();
  session.cancel(); // stays with the session
  Session empty = forkOf(session);
  CHECK(empty.position() == 0);
  CHECK(turn(empty, {}, words(3), 2) == t.continued(words(3), 2));
  auto cancelled = session.generate(words(3), {});
  REQUIRE(cancelled.ok());
  CHECK(cancelled->finish_reason == FinishReason::Cancelled);
  session.reset();
  auto full = session.generate(words(40), {.max_new_tokens = 100, .ignore_eos = true});
  REQUIRE(full->finish_reason == FinishReason::Context);
  Session fork = forkOf(session);
  CHECK(fork.position() == session.position());
  auto refused = fork.generate(words(1), {});
  REQUIRE(!refused.ok());
  CHECK(refused.error().message == session.generate(words(1), {}).error().message);
  fork.rewind(30);
  const std::vector<TokenId> kept = [&] {
    auto all = joined(words(40), full->ids);
    all.resize(30);
    return all;
  }();
  CHECK(turn(fork, kept, {}, 4) == t.continued(kept, 4));
}

TEST_CASE("rows that are read and written are checked") {
  ForkToy t;
  auto artifact = Artifact::open(t.directory / "toy.linnet");
  REQUIRE(artifact.ok());
  auto device = std::move(*openDevice("fake"));
  auto executable = std::move(*device->load(*artifact, *artifact->program("fake"), {}));
  CHECK(executable->readRow(4, 1).error().message == "expected a row from 0 to 3, found 4");
  CHECK(executable->readRow(0, 49).error().message == "expected from 0 to 48 tokens, found 49");
  auto row = executable->readRow(3, 48);
  REQUIRE(row.ok());
  CHECK(row->size() == 48 * 4);
  CHECK(executable->writeRow(2, 48, *row).ok());
  CHECK(executable->writeRow(2, 47, *row).error().message ==
        "47 tokens of a row: expected 188 bytes, found 192");
}
