#include "support/error.h"
#include "support/result.h"
#include "tests/catch.h"

#include <memory>
#include <string>

using namespace linnet;

namespace {

/// The what() of the BadResult that `use` throws.
template <class Use> std::string thrownBy(Use use) {
  try {
    use();
  } catch (const BadResult &bad) {
    return bad.what();
  }
  return "nothing was thrown";
}

} // namespace

TEST_CASE("the value of a failed result is an exception with its message") {
  const std::string message = "gpt2.linnet: No such file or directory";
  Result<std::string> failed = Error{message};
  const Result<std::string> &fixed = failed;
  CHECK(thrownBy([&] { (void)(*failed).size(); }) == message);
  CHECK(thrownBy([&] { (void)(*fixed).size(); }) == message);
  CHECK(thrownBy([&] { (void)failed->size(); }) == message);
  CHECK(thrownBy([&] { (void)fixed->size(); }) == message);
  CHECK(thrownBy([&] { std::string taken = *std::move(failed); }) == message);
  CHECK(failed.error().message == message);
}

TEST_CASE("the error of a result that succeeded is an exception, too") {
  const Result<int> value = 3;
  const Result<void> nothing;
  CHECK(thrownBy([&] { (void)value.error(); }) == kNoError);
  CHECK(thrownBy([&] { (void)nothing.error(); }) == kNoError);
}

TEST_CASE("a result hands its value out") {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(7);
  REQUIRE(made);
  CHECK(**made == 7);
  CHECK(*made->get() == 7);
  std::unique_ptr<int> taken = *std::move(made);
  CHECK(*taken == 7);
}
