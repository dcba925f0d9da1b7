// Busy waiting.
#pragma once

namespace linnet::cpu {

/// Calls done() up to `times` times until it returns true. Each call costs about 20 ns.
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
