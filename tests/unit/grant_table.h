// A granter made here: it grants what is free of a budget, and tells what is open.
#pragma once

#include <algorithm>
#include <atomic>

#include "govern/grants/gate.h"

namespace corewise::test {

// For its life the gate asks it. Grants at least 1; claims are never 0.
struct GrantTable {
  std::atomic<int> free;
  std::atomic<int> open{0};
  govern::Grants grants{take, give, this};

  explicit GrantTable(int budget) : free(budget) { govern::gate::open(&grants); }
  GrantTable(const GrantTable&) = delete;
  GrantTable& operator=(const GrantTable&) = delete;
  ~GrantTable() {
    govern::gate::open(nullptr);
    govern::gate::observe(nullptr);
  }

  static govern::Grant take(void* self, const govern::GrantRequest& request) noexcept {
    auto& table = *static_cast<GrantTable*>(self);
    const int granted = std::clamp(table.free.load(), 1, request.wanted);
    table.free -= granted;
    ++table.open;
    return {.threads = granted, .claim = 1};
  }
  static void give(void* self, const govern::Grant& grant) noexcept {
    auto& table = *static_cast<GrantTable*>(self);
    table.free += grant.threads;
    --table.open;
  }
};

}  // namespace corewise::test
