#include "public_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "foreign_files.h"
#include "govern/ledger/ledger_identity.h"
#include "govern/ledger/shared_file.h"

namespace corewise::govern {
namespace {

constexpr std::array<char, 8> kPublicMagic = {'c', 'w', 'p', 'u', 'b', 'l', 'i', 'c'};
constexpr FileShape kShape{sizeof(PublicPage), 0644,
                           "has other rights than 0644 (read by all, written by its owner)"};
constexpr std::string_view kPrefix = "corewise-machine-";
constexpr std::uint64_t kForgottenMs = 600'000;

// Of a user who can see the processes and clocks that we see, and has our layout.
std::string suffix() {
  return "-" + hex(fnv("pid:" + std::to_string(pid_namespace()) +
                       " time:" + std::to_string(time_namespace()) +
                       " version:" + std::to_string(kPublicVersion)));
}

// The same, computed once: hooks may not allocate.
std::string_view our_suffix() {
  static const std::string made = suffix();
  return made;
}

bool is_page(const PublicPage& page) {
  return page.magic == kPublicMagic && page.version == kPublicVersion &&
         page.size == sizeof(PublicPage);
}

void begin(PublicPage& page) {
  page.magic = kPublicMagic;
  page.version = kPublicVersion;
  page.size = sizeof page;
}

// The user whose page a file with this name should be.
std::optional<uid_t> user_in(std::string_view name) {
  const std::string_view end = our_suffix();
  if (!name.starts_with(kPrefix) || !name.ends_with(end)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  if (name.size() <= end.size()) return std::nullopt;
  name.remove_suffix(end.size());
  uid_t user = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), user);
  const bool all = error == std::errc{} && stop == name.data() + name.size();
  // Two names for one user would be two claims.
  return all && (name.size() == 1 || name.front() != '0') ? std::optional(user) : std::nullopt;
}

bool runs(Word named, uid_t user) noexcept {
  return belongs_to(named, user) && life_of(named, true) == Life::runs;
}

}  // namespace

OwnPage open_own_page(const std::string& directory) {
  const uid_t user = geteuid();
  const std::string path =
      directory + "/" + std::string(kPrefix) + std::to_string(user) + std::string(our_suffix());
  const auto without = [&](const std::string& what) {
    return OwnPage{
        nullptr, user,
        "The machine is not shared with other users: the file " + path + " " + what + "."};
  };
  if (!ForeignFiles::can_read()) {
    return without(
        "is of no use, because those of others cannot be opened safely here: the kernel has no "
        "openat2 (Linux 5.6), or a filter of system calls forbids it");
  }
  std::unique_ptr<SharedFile> made;
  const auto fill = [](void* at) { begin(*static_cast<PublicPage*>(at)); };
  for (int tries = 0; tries < 3; ++tries) {
    const SharedFile file(path, O_RDWR);
    if (file.fd() < 0 && errno == ENOENT) {
      if (const int error = make_shared_file(path, kShape, fill, made)) {
        return without("cannot be made: " + system_says(error) + ". Make " + directory +
                       " writable for this user, with 4 kB free");
      }
      continue;
    }
    if (file.fd() < 0) {
      return without("cannot be opened: " + why_not_opened(errno) +
                     ". Remove it, or ask its owner to");
    }
    std::string what = file.objection(kShape);
    auto* page = what.empty()
                     ? static_cast<PublicPage*>(file.map(kShape.size, PROT_READ | PROT_WRITE))
                     : nullptr;
    if (page && is_page(*page)) return {page, user, {}};
    if (page) {
      munmap(page, kShape.size);
      what = "is something else";
    } else if (what.empty()) {
      return without("cannot be mapped: " + system_says(errno));
    }
    return without(what + " and is left alone. Remove it, or ask its owner to");
  }
  return without("keeps being removed. Find out by whom");
}

namespace {

PublicSums* first_of(PublicPage& page, std::uint64_t ledger) noexcept {
  for (PublicSums& sums : page.ledgers) {
    if (sums.ledger.load() == ledger) return &sums;
  }
  return nullptr;
}

bool is_forgotten(const PublicSums& sums, uid_t user, std::uint64_t now_ms) noexcept {
  const std::uint64_t forgotten = asked_epoch(now_ms - std::min(now_ms, kForgottenMs));
  return (sums.asked[0].load() >> 16) <= forgotten && (sums.asked[1].load() >> 16) <= forgotten &&
         !runs(named_in(sums.held.load()), user);
}

// Takes the first empty place, or the first that is forgotten.
PublicSums* take_place(const OwnPage& own, std::uint64_t ledger, std::uint64_t now_ms,
                       bool empty) noexcept {
  PublicPage& page = *own.at;
  for (PublicSums& sums : page.ledgers) {
    std::uint64_t seen = sums.ledger.load();
    if (empty ? seen != 0 : !is_forgotten(sums, own.user, now_ms)) continue;
    if (!sums.ledger.compare_exchange_strong(seen, ledger)) {
      if (seen == ledger) return &sums;
      continue;
    }
    note_asked(sums, 0, now_ms);  // in use from now on
    // Another process of this ledger may have taken an earlier place meanwhile.
    PublicSums* const first = first_of(page, ledger);
    if (first != &sums) sums.ledger.store(0);
    return first;
  }
  return nullptr;
}

}  // namespace

PublicSums* sums_for(const OwnPage& own, std::uint64_t ledger, std::uint64_t now_ms) noexcept {
  if (PublicSums* const known = first_of(*own.at, ledger)) return known;
  // Whoever was idle for long may come back.
  PublicSums* const empty = take_place(own, ledger, now_ms, true);
  return empty != nullptr ? empty : take_place(own, ledger, now_ms, false);
}

int claimed(const PublicSums& sums, uid_t user, std::uint64_t now_ms) noexcept {
  if (sums.ledger.load(std::memory_order_relaxed) == 0) return 0;
  const std::uint64_t epoch = asked_epoch(now_ms);
  int most = 0;
  for (const std::atomic<std::uint64_t>& word : sums.asked) {
    most = std::max(most, asked_in(word.load(std::memory_order_relaxed), epoch));
  }
  const Word held = sums.held.load(std::memory_order_relaxed);
  const bool counts = tokens(held) > most && runs(named_in(held), user);
  return counts ? tokens(held) : most;
}

std::size_t read_claims(const char* directory, uid_t self, std::span<Claimant> claims,
                        std::uint64_t now_ms) noexcept {
  ForeignFiles files(directory);
  std::size_t found = 0;
  while (const char* const name = files.next()) {
    if (found == claims.size()) break;
    const auto user = user_in(name);
    if (!user || *user == self) continue;
    PublicPage page;
    if (!files.read(name, *user, std::as_writable_bytes(std::span(&page, 1)))) continue;
    if (!is_page(page)) continue;
    int wants = 0;
    for (const PublicSums& sums : page.ledgers) wants += claimed(sums, *user, now_ms);
    if (wants > 0) claims[found++] = {*user, wants};
  }
  return found;
}

}  // namespace corewise::govern
