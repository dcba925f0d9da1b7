#include "disturbed.h"
#include "measure/disturbance.h"
#include "output.h"

namespace linnet::cli {

void putDisturbance(double share) {
  if (share > measure::kDisturbedShare)
    put("\n{} disturbed: {}, also when it ran again; compare nothing with these figures\n", kDisturbed,
        measure::disturbanceText(share));
  else
    put("\n{} disturbed: the fastest run is more than {} times as fast as the slowest one; compare nothing "
        "with "
        "these figures\n",
        kDisturbed, measure::kLargestSpread);
}

} // namespace linnet::cli
