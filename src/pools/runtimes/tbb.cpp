// oneTBB. Its limit is an object, global_control: while one lives, parallelism is at most its
// value; of several the smallest wins. We make and destroy ours through the library's own entry
// points, so that we need no header or build of TBB.
//
// Layout: oneapi/tbb/global_control.h, class d1::global_control: { size_t my_value;
// std::intptr_t my_reserved; parameter my_param; }, stable since oneTBB 2021.
#include <cstdint>
#include <new>

#include "os/patch.h"
#include "table.h"

namespace corewise {
namespace {

enum TbbFunction : std::size_t { kCreate, kDestroy, kActive, kVersion };

constexpr int kMaxAllowedParallelism = 0;
constexpr const char* kPrefixes[] = {"libtbb"};

struct GlobalControl {
  std::size_t value;
  std::intptr_t reserved;
  int parameter;
};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kCreate] = symbols.address("_ZN3tbb6detail2r16createERNS0_2d114global_controlE");
  proof.at[kDestroy] = symbols.address("_ZN3tbb6detail2r17destroyERNS0_2d114global_controlE");
  proof.at[kActive] = symbols.address("_ZN3tbb6detail2r127global_control_active_valueEi");
  proof.at[kVersion] = symbols.address("TBB_runtime_version");
  return proof.at[kCreate] != 0 && proof.at[kDestroy] != 0 && proof.at[kActive] != 0;
}

// oneTBB counts the default once, at first use, from the CPUs that the process may run on then. The
// function that does so begins with that number's guard. It is a virtual function of the object
// that keeps the limit, three before the one that global_control_active_value calls.
std::uintptr_t default_value_of(std::uintptr_t active) {
  const auto space = os::AddressSpace::read();
  if (!space) return 0;
  const auto pointer_at = [&](std::uintptr_t at) -> std::uintptr_t {
    const auto rights = space->rights(at, sizeof(at));
    if (at % sizeof(at) != 0 || !rights || !rights->readable()) return 0;
    return *reinterpret_cast<const std::uintptr_t*>(at);
  };
  const auto functions_of = [&](std::uintptr_t at) { return pointer_at(pointer_at(at)); };
  const std::uintptr_t controls = first_reference(*space, active, [&](std::uintptr_t at) {
    const auto rights = space->rights(pointer_at(functions_of(at)), 1);
    return rights && rights->executable();
  });
  if (controls == 0) return 0;
#if defined(__x86_64__)
  constexpr std::size_t kBefore = 3;
  const auto* code = reinterpret_cast<const std::uint8_t*>(active);
  for (std::size_t i = 0; i < 60; ++i) {
    const bool jumps = code[i] == 0xff && code[i + 1] == 0x60;  // jmp *offset(%rax)
    const bool loads = code[i] == 0x48 && code[i + 1] == 0x8b && code[i + 2] == 0x40;
    const std::size_t entry = code[i + (jumps ? 2 : 3)] / sizeof(void*);
    if ((!jumps && !loads) || entry < kBefore) continue;
    return pointer_at(functions_of(controls) + (entry - kBefore) * sizeof(void*));
  }
#endif
  return 0;
}

void describe(Pool& pool) {
  pool.scope = CW_SCOPE_PROCESS;
  pool.used_at = first_word_of(default_value_of(pool.proof.at[kActive]));
  if (pool.proof.at[kVersion] != 0) {
    if (const char* version = pool.call<const char*()>(kVersion)()) pool.version = version;
  }
}

int get(const Pool& pool) {
  return static_cast<int>(pool.call<std::size_t(int)>(kActive)(kMaxAllowedParallelism));
}

void drop(Pool& pool) {
  auto* control = static_cast<GlobalControl*>(pool.state);
  if (control == nullptr) return;
  pool.call<void(GlobalControl&)>(kDestroy)(*control);
  delete control;
  pool.state = nullptr;
}

void set(Pool& pool, int threads) {
  auto* next = new (std::nothrow)
      GlobalControl{static_cast<std::size_t>(threads), 0, kMaxAllowedParallelism};
  if (next == nullptr) return;
  // Make the new one first, so that a limit is in force at every moment.
  pool.call<void(GlobalControl&)>(kCreate)(*next);
  drop(pool);
  pool.state = next;
}

void release(Pool& pool, int) { drop(pool); }

}  // namespace

const Runtime kTbb = {
    .name = "tbb",
    .api = CW_API_TBB,
    .prefixes = kPrefixes,
    .environment = {},
    .prove = prove,
    .describe = describe,
    .locks = true,
    .gate = GateKind::kTbb,
    .used = use_by_word,
    .get = get,
    .set = set,
    .release = release,
    .read_outside = private_count<CW_SCOPE_PROCESS>,
};

}  // namespace corewise
