// The ledger's file under attack, damage and denial: it is left alone, the process goes on by
// itself and says why, and nobody gets less than one thread.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "ledger_fixture.h"

using namespace corewise::govern;
using corewise::test::in_child;
using corewise::test::LedgerFolder;

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Works alone, said why, touched nothing.
void check_alone(const LedgerFolder& folder, const std::string& why) {
  const auto ledger = folder.open(4);
  CHECK_FALSE(ledger->shared());
  INFO(ledger->finding());
  CHECK(ledger->finding().find(why) != std::string::npos);
  CHECK(ledger->finding().find(folder.path()) != std::string::npos);
  const Grant grant = ledger->acquire(4);
  CHECK(grant.threads == 4);
  CHECK(ledger->acquire(4).threads == 1);
  ledger->release(grant);
}

// The path a ledger of this folder has, with a good file in place.
std::string good_file(const LedgerFolder& folder) { return folder.open(4)->path(); }

// Makes one system call fail with EPERM from here on.
bool deny(long call) {
  const std::array<sock_filter, 4> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter = {static_cast<unsigned short>(program.size()),
                             const_cast<sock_filter*>(program.data())};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

TEST_CASE("the file is for its owner alone") {
  const LedgerFolder folder;
  umask(0);
  const std::string path = good_file(folder);
  umask(022);
  struct stat info{};
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK(info.st_nlink == 1);
  CHECK(static_cast<std::size_t>(info.st_size) == sizeof(Shared));
}

TEST_CASE("no folder for it") {
  LedgerOptions options = LedgerFolder().options(4);
  auto ledger = std::move(*Ledger::open(options));
  CHECK_FALSE(ledger->shared());
  CHECK(ledger->finding().find("No such file or directory") != std::string::npos);
  CHECK(ledger->acquire(4).threads == 4);
  CHECK(in_child([&] { return ledger->acquire(4).threads == 1 ? 0 : 1; }) == 0);
}

TEST_CASE("a symbolic link is not followed") {
  const LedgerFolder folder;
  const std::string path = good_file(folder);
  const std::string victim = folder.path() + "/victim";
  REQUIRE(rename(path.c_str(), victim.c_str()) == 0);
  REQUIRE(symlink(victim.c_str(), path.c_str()) == 0);
  const std::string before = bytes_of(victim);
  check_alone(folder, "symbolic link");
  CHECK(bytes_of(victim) == before);
}

TEST_CASE("a dangling link, a folder, a FIFO") {
  const LedgerFolder folder;
  const std::string path = good_file(folder);
  REQUIRE(unlink(path.c_str()) == 0);
  SUBCASE("link") {
    REQUIRE(symlink("/dev/shm/corewise-nowhere", path.c_str()) == 0);
    check_alone(folder, "symbolic link");
    CHECK(access("/dev/shm/corewise-nowhere", F_OK) != 0);
  }
  SUBCASE("folder") {
    REQUIRE(mkdir(path.c_str(), 0700) == 0);
    check_alone(folder, "directory");
  }
  SUBCASE("FIFO") {
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    check_alone(folder, "not a regular file");
  }
}

TEST_CASE("a file that others may open, or of the wrong size") {
  const LedgerFolder folder;
  const std::string path = good_file(folder);
  SUBCASE("mode") {
    REQUIRE(chmod(path.c_str(), 0660) == 0);
    check_alone(folder, "opened by others");
  }
  SUBCASE("empty") {
    REQUIRE(truncate(path.c_str(), 0) == 0);
    check_alone(folder, "wrong size");
  }
  SUBCASE("longer") {
    REQUIRE(truncate(path.c_str(), sizeof(Shared) + 1) == 0);
    check_alone(folder, "wrong size");
  }
}

TEST_CASE("another user's file" * doctest::skip(geteuid() != 0)) {
  const LedgerFolder folder;
  const std::string path = good_file(folder);
  SUBCASE("seen by root") {
    REQUIRE(chown(path.c_str(), 12345, 12345) == 0);
    check_alone(folder, "belongs to user 12345");
  }
  SUBCASE("seen by a user whom it was laid in the way") {
    REQUIRE(chmod(folder.path().c_str(), 01777) == 0);
    const std::string name = "corewise-12345-" + path.substr(path.rfind('-') + 1);
    const std::string trap = folder.path() + "/" + name;
    REQUIRE(rename(path.c_str(), trap.c_str()) == 0);
    CHECK(in_child([&] {
            if (setgid(12345) != 0 || setuid(12345) != 0) return 1;
            const auto ledger = folder.open(4);
            if (ledger->shared() ||
                ledger->finding().find("Permission denied") == std::string::npos) {
              return 2;
            }
            return ledger->acquire(4).threads == 4 ? 0 : 3;
          }) == 0);
  }
}

TEST_CASE("the header says that the file is something else") {
  const LedgerFolder folder;
  const std::string path = good_file(folder);
  std::string bytes = bytes_of(path);
  std::string why;
  SUBCASE("magic") {
    bytes[0] = 'X';
    why = "is not a ledger";
  }
  SUBCASE("version") {
    bytes[offsetof(Header, version)] = 9;
    why = "another version";
  }
  SUBCASE("checksum") {
    bytes[offsetof(Header, key)] ^= 1;
    why = "damaged";
  }
  SUBCASE("key") {
    Header header;
    std::copy_n(bytes.data(), sizeof header, reinterpret_cast<char*>(&header));
    ++header.key_hash;
    header.checksum = checksum(header);
    std::copy_n(reinterpret_cast<const char*>(&header), sizeof header, bytes.data());
    why = "another budget";
  }
  write_bytes(path, bytes);
  check_alone(folder, why);
  CHECK(bytes_of(path) == bytes);
}

TEST_CASE("limits and filters of the system") {
  const LedgerFolder folder;
  const auto try_it = [&](bool expect_memory) {
    const auto ledger = folder.open(4);
    if (ledger->shared() || ledger->finding().empty()) return 2;
    const Grant grant = ledger->acquire(9);
    if (grant.threads != 4) return 3;
    if (ledger->acquire(9).threads != (expect_memory ? 1 : 4)) return 4;
    ledger->release(grant);
    if (ledger->set_budget(2) != 0) return 5;
    return ledger->budget() == 2 ? 0 : 6;
  };
  SUBCASE("no file may grow") {
    CHECK(in_child([&] {
            const rlimit none{0, 0};
            return setrlimit(RLIMIT_FSIZE, &none) == 0 ? try_it(true) : 1;
          }) == 0);
  }
  SUBCASE("no more files") {
    CHECK(in_child([&] {
            const rlimit none{0, 0};
            return setrlimit(RLIMIT_NOFILE, &none) == 0 ? try_it(true) : 1;
          }) == 0);
  }
  SUBCASE("no open") {
    CHECK(in_child([&] { return deny(SYS_openat) ? try_it(true) : 1; }) == 0);
  }
  SUBCASE("no space") {
    CHECK(in_child([&] { return deny(SYS_fallocate) ? try_it(true) : 1; }) == 0);
  }
#if !defined(COREWISE_TEST_ASAN) && !defined(COREWISE_TEST_TSAN)
  SUBCASE("no mapping at all") {
    CHECK(in_child([&] {
            void* volatile heap_ready = std::malloc(1 << 16);
            std::free(heap_ready);
            return deny(SYS_mmap) ? try_it(false) : 1;
          }) == 0);
  }
#endif
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("processes that make the file at once share one") {
  for (int round = 0; round < 50; ++round) {
    const LedgerFolder folder;
    std::vector<pid_t> children;
    std::array<int, 2> gate{};
    REQUIRE(pipe(gate.data()) == 0);
    for (int i = 0; i < 6; ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        char go = 0;
        close(gate[1]);
        if (read(gate[0], &go, 1) != 0) _exit(1);
        const auto ledger = folder.open(64);
        ledger->acquire(2);
        _exit(ledger->shared() ? 0 : 2);
      }
      children.push_back(pid);
    }
    close(gate[0]);
    close(gate[1]);
    for (const pid_t pid : children) {
      int status = 0;
      waitpid(pid, &status, 0);
      CHECK(status == 0);
    }
    const auto ledgers = read_ledgers(folder.path());
    REQUIRE(ledgers.size() == 1);
    // Each found the others' file: their places are there, but for those reaped since.
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  }
}

TEST_CASE("makers of different ledgers do not sweep each other's away") {
  const LedgerFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      for (int round = 0; round < 30; ++round) {
        const auto key = std::to_string(i) + "-" + std::to_string(round);
        if (!folder.open(4, key)->shared()) _exit(2);
      }
      _exit(0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(status == 0);
  }
}

TEST_CASE("10,000 random damages to the file: nothing crashes, nobody gets less than one thread") {
  const LedgerFolder folder;
  const std::string path = good_file(folder);
  const std::string good = bytes_of(path);
  auto living = folder.open(4);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  std::mt19937_64 random(4);
  int bad = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Grant held = living->acquire(3);
    // Most of the file is records, which steer nothing: hit the rest more often.
    const std::size_t reach = i % 4 == 0 ? good.size() : offsetof(Shared, words) + 64;
    for (std::uint64_t n = random() % 8 + 1; n > 0; --n) {
      const std::uint64_t noise = random() % 3 == 0 ? ~std::uint64_t{0} : random();
      const std::size_t at = random() % (reach - sizeof noise);
      if (pwrite(fd, &noise, random() % sizeof noise + 1, static_cast<off_t>(at)) < 1) ++bad;
    }
    living->release(held);
    const auto newcomer = folder.open(4);
    for (Ledger* ledger : {living.get(), newcomer.get()}) {
      const Grant grant = ledger->acquire(3);
      if (grant.threads < 1 || grant.threads > 3) ++bad;
      ledger->release(grant);
      if (ledger->budget() < 1 || ledger->budget() > kMaxBudget) ++bad;
      static_cast<void>(ledger->snapshot());
    }
    static_cast<void>(read_ledgers(folder.path()));
    if (pwrite(fd, good.data(), good.size(), 0) < 0) ++bad;
  }
  close(fd);
  CHECK(bad == 0);
  CHECK(living->acquire(3).threads >= 1);
}
