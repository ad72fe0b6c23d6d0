// Finds or makes the memory that the processes of one budget share: a file in /dev/shm named after
// the user and the budget. A file that is not plainly ours is left alone: then, and where there
// is no /dev/shm, memory that only this process and its forks share takes its place, and a finding
// says why.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "ledger_layout.h"

namespace corewise::govern {

struct SharedMemory {
  Shared* at = nullptr;  // null: the system gives no shared memory at all
  std::string path;      // of the file; empty when there is none
  std::string finding;   // why there is none, and what to do
  bool made = false;     // the file was not there before
};

// `key` names the budget: processes that give equal keys share it. `budget` is what a new ledger
// begins with.
SharedMemory map_ledger(const std::string& directory, std::string_view key, int budget);

// The file of the budget that a key names.
std::string ledger_path(const std::string& directory, std::string_view key);

// Maps the ledger of this key at its path; null if there is none, or if it is not plainly ours:
// then `why` says so, as "belongs to user 7".
Shared* map_existing(const std::string& path, std::string_view key, std::string& why);

// Maps an existing ledger for reading; null if it is not one of ours.
const Shared* map_for_reading(const std::string& path);

void unmap(const Shared* shared) noexcept;
struct Unmap {
  void operator()(const Shared* shared) const { unmap(shared); }
};

// What the names of a user's ledger files begin with.
std::string ledger_prefix(uid_t user);

// The calling user's ledgers in a directory, sorted by path, without those still being made.
std::vector<std::string> ledger_files(const std::string& directory);

// Apart for tests.
std::uint64_t checksum(const Header& header) noexcept;

}  // namespace corewise::govern
