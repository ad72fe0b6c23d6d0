// Where a thread was when a signal stopped it.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace corewise::death {

struct MachineState {
  std::uintptr_t code = 0;  // 0: not known for this kind of processor
  std::uintptr_t stack = 0;
};

inline MachineState machine_state(const void* context) noexcept {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return {static_cast<std::uintptr_t>(machine.gregs[REG_RIP]),
          static_cast<std::uintptr_t>(machine.gregs[REG_RSP])};
#elif defined(__aarch64__)
  return {machine.pc, machine.sp};
#else
  static_cast<void>(machine);
  return {};
#endif
}

}  // namespace corewise::death
