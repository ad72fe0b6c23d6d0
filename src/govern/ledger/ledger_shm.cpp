#include "ledger_shm.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "ledger_identity.h"
#include "os/os.h"

namespace corewise::govern {
namespace {

constexpr int kOpenFlags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr std::size_t kSize = sizeof(Shared);

std::uint64_t fnv(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

class LedgerFile {
 public:
  LedgerFile(const std::string& path, int flags)
      : fd_(open(path.c_str(), flags | kOpenFlags, 0600)) {}
  LedgerFile(const LedgerFile&) = delete;
  LedgerFile& operator=(const LedgerFile&) = delete;
  ~LedgerFile() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string system_says(int error) { return std::generic_category().message(error); }

std::string hex(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

// Pids and start times mean nothing across their namespaces.
// With the version, so that processes with another version of corewise, and a file that they left
// before an update, are not in the way.
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

// Why the open file is not the ledger we want; empty if it is.
std::string objection(int fd) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return "cannot be examined: " + system_says(errno);
  if (!S_ISREG(info.st_mode)) return "is not a regular file";
  if (info.st_uid != geteuid()) return "belongs to user " + std::to_string(info.st_uid);
  if ((info.st_mode & 07777) != 0600) return "can be opened by others";
  if (info.st_size != static_cast<off_t>(kSize)) return "has the wrong size";
  return {};
}

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

Shared* map_fd(int fd, int protection) {
  void* at =
      mmap(nullptr, kSize, protection, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<Shared*>(at);
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

// Completes the file under a name of its own, then gives it the real one, unless another process
// did first. Returns 0, or the system's error. No sweep removes the file while `made` lives: it
// holds the same lock as a process that joins.
int create(const std::string& path, const Header& header, int budget,
           std::unique_ptr<const LedgerFile>& made) {
  // Beyond this limit the system does not refuse: it sends a signal.
  rlimit most{};
  if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur < kSize) return EFBIG;
  const std::string unfinished = path + "." + std::to_string(os::own_thread_id()) + ".new";
  unlink(unfinished.c_str());
  made = std::make_unique<const LedgerFile>(unfinished, O_RDWR | O_CREAT | O_EXCL);
  const LedgerFile& file = *made;
  if (file.fd() < 0) return errno;
  flock(file.fd(), LOCK_SH);
  int error = 0;
  // A page that the system cannot provide must fail here, not with SIGBUS at its first use.
  if (fchmod(file.fd(), 0600) != 0) {
    error = errno;
  } else {
    error = posix_fallocate(file.fd(), 0, static_cast<off_t>(kSize));
  }
  if (error == 0) {
    if (Shared* shared = map_fd(file.fd(), PROT_READ | PROT_WRITE)) {
      shared->header = header;
      shared->budget.store(static_cast<std::uint32_t>(budget));
      unmap(shared);
      if (link(unfinished.c_str(), path.c_str()) != 0 && errno != EEXIST) error = errno;
    } else {
      error = errno;
    }
  }
  unlink(unfinished.c_str());
  return error;
}

SharedMemory alone(const Header& header, int budget, std::string why) {
  SharedMemory memory;
  memory.at = map_fd(-1, PROT_READ | PROT_WRITE);
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
  memory.at->header = header;
  memory.at->budget.store(static_cast<std::uint32_t>(budget));
  return memory;
}

}  // namespace

std::uint64_t checksum(const Header& header) noexcept {
  return fnv({reinterpret_cast<const char*>(&header), offsetof(Header, checksum)});
}

namespace {
// The files of the calling user begin with this.
std::string ledger_prefix() { return "corewise-" + std::to_string(geteuid()) + "-"; }
}  // namespace

std::vector<std::string> ledger_files(const std::string& directory) {
  const std::string prefix = ledger_prefix();
  std::vector<std::string> paths;
  std::error_code gone;
  std::filesystem::directory_iterator file(directory, gone);
  for (; !gone && file != std::filesystem::directory_iterator(); file.increment(gone)) {
    const std::string name = file->path().filename().string();
    if (name.starts_with(prefix) && !name.ends_with(".new")) {
      paths.push_back(file->path().string());
    }
  }
  std::ranges::sort(paths);
  return paths;
}

void unmap(const Shared* shared) noexcept {
  if (shared) munmap(const_cast<Shared*>(shared), kSize);
}

std::string ledger_path(const std::string& directory, std::string_view key) {
  return directory + "/" + ledger_prefix() + hex(fnv(full_key(key)));
}

Shared* map_existing(const std::string& path, std::string_view key, std::string& why) {
  const LedgerFile file(path, O_RDWR);
  if (file.fd() < 0) {
    if (errno != ENOENT) why = errno == ELOOP ? "is a symbolic link" : system_says(errno);
    return nullptr;
  }
  why = objection(file.fd());
  if (!why.empty()) return nullptr;
  Shared* shared = map_fd(file.fd(), PROT_READ | PROT_WRITE);
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

  std::unique_ptr<const LedgerFile> made;  // until it is mapped, the file looks abandoned
  // Somebody may remove the file between our finding that it exists and our opening it.
  for (int tries = 0; tries < 3; ++tries) {
    const LedgerFile file(path, O_RDWR);
    if (file.fd() < 0 && errno == ENOENT) {
      if (const int error = create(path, header, budget, made)) {
        return alone(header, budget,
                     ledger + "cannot be made: " + system_says(error) + ". Make " + directory +
                         " writable for this user, with 40 kB free.");
      }
      continue;
    }
    if (file.fd() < 0) {
      const std::string why = errno == ELOOP ? "it is a symbolic link" : system_says(errno);
      return alone(header, budget,
                   ledger + "cannot be opened: " + why + ". Remove it if no process uses it.");
    }
    wait_for_sweep(file.fd());
    std::string what = objection(file.fd());
    if (what.empty()) {
      Shared* shared = map_fd(file.fd(), PROT_READ | PROT_WRITE);
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
  const LedgerFile file(path, O_RDONLY);
  if (file.fd() < 0 || !objection(file.fd()).empty()) return nullptr;
  const Shared* shared = map_fd(file.fd(), PROT_READ);
  if (!shared || objection(shared->header).empty()) return shared;
  unmap(shared);
  return nullptr;
}

}  // namespace corewise::govern
