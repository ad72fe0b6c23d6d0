// Facts. driver/others/memory.c, blas_memory_alloc: a call that takes a spare slot maps a new
// buffer each time, even if an earlier call has left one in that slot. alloc_mmap records the
// mapping at new_release_info[release_pos++ - NUM_BUFFERS], a heap block with 512 entries; no entry
// is ever taken back. Until 0.3.24 blas_memory_free did not find spare slots, so each served once.
// 0.3.18 was the first version with spare ones. tests/seed takes the slots of the wheels one by one
// and shows each.
#include "caller_slots.h"

#include <optional>

#include "base/text.h"

namespace corewise {
namespace {

// The third number of "0.3.27.44.3"; none for other series.
std::optional<int> patch_of_0_3(std::string_view version) {
  constexpr std::string_view kSeries = "0.3.";
  if (!version.starts_with(kSeries)) return std::nullopt;
  version.remove_prefix(kSeries.size());
  return first_count(cut(version, '.'));
}

}  // namespace

Spares spares_of(std::string_view version) {
  constexpr int kFirstWithSpares = 18;
  constexpr int kFirstThatOverwrites = 25;
  const std::optional<int> patch = patch_of_0_3(version);
  if (!patch || *patch >= kFirstThatOverwrites) return Spares::kOverwrite;
  return *patch >= kFirstWithSpares ? Spares::kServeOnce : Spares::kNone;
}

std::string past_the_slots(Spares spares) {
  if (spares == Spares::kNone) {
    return "A call that finds none gets no memory, and the process dies";
  }
  return "A call that finds none takes one of " + grouped(kSpareSlots) +
         " spare slots and never gives it back. When they are gone, the next call " +
         (spares == Spares::kServeOnce
              ? "gets no memory, and the process dies"
              : "writes past their table, and the process dies there or later");
}

}  // namespace corewise
