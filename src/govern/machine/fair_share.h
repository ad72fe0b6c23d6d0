// How the users who ask divide the machine's CPUs: whoever wants less than an equal part gets what
// it wants, and the others divide the rest equally (max-min fairness). What somebody claims beyond
// an equal part changes nothing, so a liar gets no more than that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace corewise::govern {

struct Claimant {
  std::uint32_t user = 0;
  int wants = 0;  // threads; 0 or less: does not ask
};

// What `me` gets of `cpus` if it wants all; at least 1. CPUs that are left over by an equal
// division go to some of those who want more, by their numbers, beginning at `turn`: everybody
// computes the same if they see the same claims. Sorts `others`.
inline int fair_share(int cpus, std::span<Claimant> others, std::uint32_t me,
                      std::uint64_t turn = 0) {
  std::ranges::sort(others, {}, &Claimant::wants);
  auto next = std::ranges::find_if(others, [](const Claimant& one) { return one.wants > 0; });
  int left = cpus;
  auto asking = static_cast<int>(others.end() - next) + 1;
  for (; next != others.end() && next->wants <= left / asking; ++next, --asking) {
    left -= next->wants;
  }
  const auto before = static_cast<std::uint64_t>(
      std::count_if(next, others.end(), [me](const Claimant& one) { return one.user < me; }));
  const auto all = static_cast<std::uint64_t>(asking);
  const bool gets_more = (before + turn) % all < static_cast<std::uint64_t>(left % asking);
  return std::max(1, left / asking + (gets_more ? 1 : 0));
}

}  // namespace corewise::govern
