#include "measure/disturbance.h"
#include "support/error.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace linnet::measure {

Disturbance::Times Disturbance::now() {
  Times times;
  std::error_code failed;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  for (std::filesystem::directory_iterator task("/proc/self/task", failed), end; !failed && task != end;
       task.increment(failed)) {
    double ran = 0, waited = 0; // nanoseconds
    std::ifstream(task->path() / "schedstat") >> ran >> waited;
    times.ran += ran * 1e-9, times.waited += waited * 1e-9;
  }
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, io = 0, interrupts = 0, soft = 0, stolen = 0;
  std::ifstream("/proc/stat") >> name >> user >> nice >> system >> idle >> io >> interrupts >> soft >> stolen;
  times.busy = (user + nice + system + interrupts + soft) / ticks, times.stolen = stolen / ticks;
  return times;
}

Disturbance::Disturbance() : begin(now()) {}

double Disturbance::share() const {
  constexpr double kLeast = 1e-3;
  // A reported stolen tick may be only a part of a tick.
  const double least_stolen = 3.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const Times end = now();
  auto share = [](double lost, double had, double least) {
    return lost > least ? lost / (lost + std::max(had, 0.0)) : 0.0;
  };
  return std::max(share(end.waited - begin.waited, end.ran - begin.ran, kLeast),
                  share(end.stolen - begin.stolen, end.busy - begin.busy, least_stolen));
}

bool isDisturbed(double share, const std::vector<double> &rates) {
  if (share > kDisturbedShare) return true;
  if (rates.empty()) return false;
  const auto [least, largest] = std::minmax_element(rates.begin(), rates.end());
  return *largest > kLargestSpread * *least;
}

Result<TimedRun> Retries::run(const std::function<Result<double>()> &once) {
  for (TimedRun best;;) {
    Disturbance disturbance;
    LINNET_ASSIGN(const double rate, once());
    const TimedRun found{rate, disturbance.share()};
    if (best.rate == 0 || found.disturbed < best.disturbed) best = found;
    if (best.disturbed <= kDisturbedShare || left-- <= 0) return best;
  }
}

std::string disturbanceText(double share) {
  return fmt::format("other programs took {:.0f} % of the processor time that it wanted", share * 100);
}

} // namespace linnet::measure
