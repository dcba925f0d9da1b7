// Other work on the machine is seen, and what it disturbs is run again and marked.
#include "measure/disturbance.h"
#include "measure/throughput.h"
#include "support/error.h"
#include "tests/catch.h"

#include <chrono>
#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace linnet;
using namespace linnet::measure;

namespace {

/// Programs that want all processors, several times over.
class Busy {
public:
  Busy() {
    for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i) {
      const pid_t child = fork();
      if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile unsigned turn = 0;; turn = turn + 1) {
        }
      }
      REQUIRE(child > 0);
      children.push_back(child);
    }
  }
  ~Busy() {
    for (pid_t child : children) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }

private:
  std::vector<pid_t> children;
};

void work(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
  }
}

} // namespace

TEST_CASE("time that other programs took is seen") {
  Busy busy;
  Disturbance disturbance;
  work(0.3);
  CHECK(disturbance.share() > 0.3);
  CHECK(disturbance.share() <= 1);
}

TEST_CASE("a thread that sleeps wants no processor") {
  Disturbance disturbance;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(disturbance.share() <= 1); // others may steal from the machine
}

TEST_CASE("disturbed runs are run again while tries are left") {
  int runs = 0;
  Retries quiet(3);
  auto found = quiet.run([&]() -> Result<double> { return ++runs, 7.0; });
  REQUIRE(found);
  CHECK(found->rate == 7);
  CHECK(runs == 1);
  Busy busy;
  Retries retries(2);
  runs = 0;
  auto slow = [&]() -> Result<double> {
    work(0.2);
    return double(++runs);
  };
  found = retries.run(slow);
  REQUIRE(found);
  CHECK(found->disturbed > kDisturbedShare);
  CHECK(runs == 3);
  REQUIRE(retries.run(slow)); // none is left
  CHECK(runs == 4);
  CHECK(retries.run([]() -> Result<double> { return errorf("no"); }).error().message == "no");
}

TEST_CASE("figures are marked for what others took, and for how they vary") {
  CHECK_FALSE(isDisturbed(0.01, {10, 11, 12}));
  CHECK(isDisturbed(0.2, {10, 11, 12}));
  CHECK(isDisturbed(0, {10, 16}));
  CHECK_FALSE(isDisturbed(0, {}));
  Measured measured{{16, 0, 1}, {10, 11}};
  CHECK_FALSE(measured.disturbed());
  measured.most_disturbed = 0.5;
  CHECK(measured.disturbed());
  CHECK(disturbanceText(0.544) == "other programs took 54 % of the processor time that it wanted");
}
