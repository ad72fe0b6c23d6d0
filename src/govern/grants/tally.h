// What the gate has let through: one table, from which reports are written, read and added up.
#pragma once

#include <cstdint>
#include <iterator>

namespace corewise {
class Json;
}

namespace corewise::govern::gate {

// In the order of the shared page (gate.h).
struct Tally {
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
enum class TallyKind { kNumber, kMost, kTime, kSizes };

struct TallyRow {
  const char* name;  // in JSON
  std::uint64_t Tally::* value;
  TallyKind kind = TallyKind::kNumber;
};

inline constexpr TallyRow kTally[] = {
    {"regions", &Tally::regions},
    {"calls", &Tally::calls},
    {"nested", &Tally::nested},
    {"granted", &Tally::granted},
    {"shortened", &Tally::shortened},
    {"withheld", &Tally::withheld},
    {"not_needed_s", &Tally::not_needed_ns, TallyKind::kTime},
    {"abandoned", &Tally::abandoned},
    {"widest", &Tally::widest, TallyKind::kMost},
    {"bending_regions", &Tally::bending},
    {"bent", &Tally::bent},
    {"bent_from", &Tally::bent_from, TallyKind::kSizes},
    {"bent_to", &Tally::bent_to, TallyKind::kSizes},
};
static_assert(sizeof(Tally) == std::size(kTally) * sizeof(std::uint64_t));

void add(const Tally& more, Tally& to);
void write(Json& json, const TallyRow& row, const Tally& tally);

}  // namespace corewise::govern::gate
