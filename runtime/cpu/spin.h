// Waiting without giving the processor away.
#pragma once

namespace linnet::cpu {

/// Looks up to `times` whether `done()`, which costs some 20 ns each.
template <class Done> bool spinUntil(int times, Done &&done) {
  for (int i = 0; i < times; ++i) {
    if (done()) return true;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  return false;
}

} // namespace linnet::cpu
