// What the gate counts: one table, from which reports are written, read and added up.
#pragma once

#include <cstdint>
#include <iterator>

namespace corewise {
class Json;
}

namespace corewise::govern::gate {

// The gate counts in such a struct too: their order is that of the shared page (gate.h).
struct Counts {
  std::uint64_t regions = 0;    // outermost ones that asked
  std::uint64_t calls = 0;      // likewise, into BLAS
  std::uint64_t nested = 0;     // regions and calls inside others that wanted more than one thread
  std::uint64_t granted = 0;    // threads, of all that asked
  std::uint64_t shortened = 0;  // how many got fewer than they wanted
  std::uint64_t withheld = 0;   // threads that they did not get
  std::uint64_t not_needed_ns = 0;  // their time: what would have been oversubscription
  std::uint64_t abandoned = 0;      // left without our seeing it
  std::uint64_t widest = 0;         // most threads that one region or call wanted
  std::uint64_t bending = 0;        // of the regions, those that bend
  std::uint64_t bent = 0;           // of these, those that got fewer threads than they wanted
  // Sizes of the teams that were bent, as wanted and as got: bit n for n threads, the last bit for
  // as many or more.
  std::uint64_t bent_from = 0;
  std::uint64_t bent_to = 0;
};
inline constexpr int kLastSize = 52;  // a double holds that many bits, and so does JSON

// Numbers and times are summed; JSON has times in seconds.
enum class CountKind { kNumber, kMost, kTime, kSizes };

struct CountRow {
  const char* name;  // in JSON
  std::uint64_t Counts::* value;
  CountKind kind = CountKind::kNumber;
};

// In the order of the page.
inline constexpr CountRow kCounts[] = {
    {"regions", &Counts::regions},
    {"calls", &Counts::calls},
    {"nested", &Counts::nested},
    {"granted", &Counts::granted},
    {"shortened", &Counts::shortened},
    {"withheld", &Counts::withheld},
    {"not_needed_s", &Counts::not_needed_ns, CountKind::kTime},
    {"abandoned", &Counts::abandoned},
    {"widest", &Counts::widest, CountKind::kMost},
    {"bending_regions", &Counts::bending},
    {"bent", &Counts::bent},
    {"bent_from", &Counts::bent_from, CountKind::kSizes},
    {"bent_to", &Counts::bent_to, CountKind::kSizes},
};
static_assert(sizeof(Counts) == std::size(kCounts) * sizeof(std::uint64_t));

void add(const Counts& counts, Counts& to);
void write(Json& json, const CountRow& row, const Counts& counts);

}  // namespace corewise::govern::gate
