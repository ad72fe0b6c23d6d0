// oneTBB. Its limit is an object, global_control: while one lives, parallelism is at most its
// value; of several the smallest wins. Ours is made and destroyed through the library's own entry
// points, so that no header or build of TBB is needed.
//
// Layout: oneapi/tbb/global_control.h, class d1::global_control: { size_t my_value;
// std::intptr_t my_reserved; parameter my_param; }, stable since oneTBB 2021.
#include <new>

#include "table.h"

namespace corewise {
namespace {

enum Slot : std::size_t { kCreate, kDestroy, kActive, kVersion };

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

void describe(Pool& pool) {
  pool.scope = CW_SCOPE_PROCESS;
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
  // The new one first, so that no moment is without a limit.
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
    .get = get,
    .set = set,
    .hold = nullptr,
    .release = release,
    .look = private_count<CW_SCOPE_PROCESS>,
};

}  // namespace corewise
