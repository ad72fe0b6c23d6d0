// What a user who shares the machine lets the others read: a page of sums, /dev/shm/
// corewise-machine-<uid>-<hash>, mode 0644, which all processes of the user write and nobody else.
// And what all the others' pages say. Only users in the same pid and time namespaces see each
// other: elsewhere neither process ids nor times mean anything.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "fair_share.h"
#include "govern/ledger/public_sums.h"

namespace corewise::govern {

inline constexpr std::size_t kPublicLedgers = 15;
inline constexpr std::size_t kMostUsers = 64;

struct PublicPage {
  alignas(64) std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t size;
  std::array<PublicSums, kPublicLedgers> ledgers;  // of this user: one for each budget
};
static_assert(sizeof(PublicPage) == 1024, "another layout is another kPublicVersion");

inline constexpr std::uint32_t kPublicVersion = 1;

struct OwnPage {
  PublicPage* at = nullptr;  // null: there is none
  uid_t user = 0;
  std::string finding;  // why, and what to do
};

// The page of the calling user, made if need be.
OwnPage open_own_page(const std::string& directory);

// Of the user's page, the sums of the ledger with this number, which is not 0; null if so many
// ledgers are in use that there is no room. Those that nobody used for long go to another ledger if
// none are empty. May be called in hooks.
PublicSums* sums_for(const OwnPage& own, std::uint64_t ledger, std::uint64_t now_ms) noexcept;

// What these sums claim now. Sums that nobody has vouched for lately, and no living process of the
// user vouches for, claim nothing.
int claimed(const PublicSums& sums, uid_t user, std::uint64_t now_ms) noexcept;

// Reads the pages of all users but `self` into `claims`, those who ask alone, and returns how many
// these are. What is not plainly such a page is passed over. Allocates nothing, takes no lock, and
// waits for nobody: may be called in hooks, though not where the program has confined itself.
std::size_t read_claims(const char* directory, uid_t self, std::span<Claimant> claims,
                        std::uint64_t now_ms) noexcept;

}  // namespace corewise::govern
