#include "ledger_shm.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>

#include "ledger_identity.h"
#include "os/os.h"
#include "shared_file.h"

namespace corewise::govern {
namespace {

constexpr std::size_t kSize = sizeof(Shared);
constexpr FileShape kShape{kSize, 0600, "can be opened by others"};

// The namespaces are in the key because pids and start times mean nothing outside them. The version
// is in it so that another version's file is not in the way.
std::string full_key(std::string_view key) {
  return std::string(key) + " pid:" + std::to_string(pid_namespace()) +
         " time:" + std::to_string(time_namespace()) + " version:" + std::to_string(kVersion);
}

Header new_header(std::string_view key) {
  Header header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.size = static_cast<std::uint32_t>(kSize);
  key.copy(header.key.data(), header.key.size() - 1);
  header.key_hash = fnv(key);
  header.pid_namespace = pid_namespace();
  header.checksum = checksum(header);
  return header;
}

// Why the file is not the ledger we want; empty if it is.
std::string objection(const Header& header) {
  if (header.magic != kMagic) return "is not a ledger";
  if (header.version != kVersion) {
    return "was made by another version of corewise (layout " + std::to_string(header.version) +
           ", ours is " + std::to_string(kVersion) + ")";
  }
  if (header.size != kSize || header.checksum != checksum(header)) return "is damaged";
  return {};
}

std::string objection(const Header& header, std::uint64_t key_hash) {
  std::string what = objection(header);
  if (what.empty() && header.key_hash != key_hash) what = "belongs to another budget";
  return what;
}

Shared* map_whole(const SharedFile& file, int protection = PROT_READ | PROT_WRITE) {
  return static_cast<Shared*>(file.map(kSize, protection));
}

void begin(Shared& shared, const Header& header, int budget) {
  shared.header = header;
  shared.budget.store(static_cast<std::uint32_t>(budget));
}

// A sweep that is about to remove the file holds its lock (sweep_ledgers). A sweep takes
// milliseconds, but its process may be stopped amid it, so we do not wait for long. Our lock goes
// with the descriptor.
void wait_for_sweep(int fd) {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries && flock(fd, LOCK_SH | LOCK_NB) != 0; ++i) usleep(5000);
}

bool is_removed(int fd) {
  struct stat info{};
  return fstat(fd, &info) == 0 && info.st_nlink == 0;
}

SharedMemory alone(const Header& header, int budget, std::string why) {
  SharedMemory memory;
  memory.at = map_whole(SharedFile());
  memory.finding = std::move(why);
  if (!memory.at) {
    memory.finding +=
        " Nor is there shared memory without a file, so each parallel region keeps to "
        "the budget without knowing of the others.";
    return memory;
  }
  memory.finding +=
      " Until then this process and its forks keep to the budget by themselves, without "
      "knowing of other processes.";
  begin(*memory.at, header, budget);
  return memory;
}

}  // namespace

std::uint64_t checksum(const Header& header) noexcept {
  return fnv({reinterpret_cast<const char*>(&header), offsetof(Header, checksum)});
}

std::string ledger_prefix(uid_t user) { return "corewise-" + std::to_string(user) + "-"; }

std::vector<std::string> ledger_files(const std::string& directory) {
  const std::string prefix = ledger_prefix(geteuid());
  std::vector<std::string> paths;
  for (const std::string& name : os::names_in(directory)) {
    if (name.starts_with(prefix) && !name.ends_with(".new"))
      paths.push_back(directory + "/" + name);
  }
  std::ranges::sort(paths);
  return paths;
}

void unmap(const Shared* shared) noexcept {
  if (shared) munmap(const_cast<Shared*>(shared), kSize);
}

std::string ledger_path(const std::string& directory, std::string_view key) {
  return directory + "/" + ledger_prefix(geteuid()) + hex(fnv(full_key(key)));
}

Shared* map_existing(const std::string& path, std::string_view key, std::string& why) {
  const SharedFile file(path, O_RDWR);
  if (file.fd() < 0) {
    if (errno != ENOENT) why = errno == ELOOP ? "is a symbolic link" : system_says(errno);
    return nullptr;
  }
  why = file.objection(kShape);
  if (!why.empty()) return nullptr;
  Shared* shared = map_whole(file);
  if (!shared) why = "cannot be mapped: " + system_says(errno);
  if (shared) why = objection(shared->header, fnv(full_key(key)));
  if (why.empty()) return shared;
  unmap(shared);
  return nullptr;
}

SharedMemory map_ledger(const std::string& directory, std::string_view key, int budget) {
  const Header header = new_header(full_key(key));
  const std::string path = ledger_path(directory, key);
  const std::string ledger = "The ledger " + path + " ";

  const auto fill = [&](void* at) { begin(*static_cast<Shared*>(at), header, budget); };
  std::unique_ptr<SharedFile> made;  // until it is mapped, the file looks abandoned
  // Somebody may remove the file between our finding that it exists and our opening it.
  for (int tries = 0; tries < 3; ++tries) {
    const SharedFile file(path, O_RDWR);
    if (file.fd() < 0 && errno == ENOENT) {
      if (const int error = make_shared_file(path, kShape, fill, made)) {
        return alone(header, budget,
                     ledger + "cannot be made: " + system_says(error) + ". Make " + directory +
                         " writable for this user, with 40 kB free.");
      }
      continue;
    }
    if (file.fd() < 0) {
      return alone(header, budget,
                   ledger + "cannot be opened: " + why_not_opened(errno) +
                       ". Remove it if no process uses it.");
    }
    wait_for_sweep(file.fd());
    std::string what = file.objection(kShape);
    if (what.empty()) {
      Shared* shared = map_whole(file);
      if (!shared) {
        return alone(header, budget, ledger + "cannot be mapped: " + system_says(errno) + ".");
      }
      what = objection(shared->header, header.key_hash);
      const bool removed = is_removed(file.fd());
      if (what.empty() && !removed) return {shared, path, {}, made != nullptr};
      unmap(shared);
      if (removed) continue;
    }
    return alone(header, budget,
                 ledger + what + " and is left alone. Remove it when no process uses it any more.");
  }
  return alone(header, budget, ledger + "keeps being removed. Find out by whom.");
}

const Shared* map_for_reading(const std::string& path) {
  const SharedFile file(path, O_RDONLY);
  if (file.fd() < 0 || !file.objection(kShape).empty()) return nullptr;
  const Shared* shared = map_whole(file, PROT_READ);
  if (!shared || objection(shared->header).empty()) return shared;
  unmap(shared);
  return nullptr;
}

}  // namespace corewise::govern
