// What other users' pages are worth: each test lays something in the place of one, and looks.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "govern/ledger/ledger_identity.h"
#include "govern/machine/machine_share.h"
#include "govern/machine/public_page.h"
#include "ledger_fixture.h"

using namespace corewise;
using namespace corewise::govern;
using corewise::test::in_child;
using corewise::test::LedgerFolder;

namespace {

constexpr uid_t kUser = 12345;
constexpr uid_t kOther = 12346;
constexpr int kAsks = 7;

// A folder as /dev/shm is, and how a page is called in it.
class Machine {
 public:
  Machine() {
    REQUIRE(chmod(folder_.path().c_str(), 01777) == 0);
    own_ = open_own_page(folder_.path());
    REQUIRE_MESSAGE(own_.at != nullptr, own_.finding);
    const std::filesystem::directory_iterator files(folder_.path());
    const std::string name = files->path().filename().string();
    suffix_ = name.substr(name.rfind('-'));
  }
  const std::string& folder() const { return folder_.path(); }
  const OwnPage& own() const { return own_; }

  std::string path(const std::string& user) const {
    return folder_.path() + "/corewise-machine-" + user + suffix_;
  }
  std::string path(uid_t user) const { return path(std::to_string(user)); }

  // A page that asks, as a user's processes write it.
  std::unique_ptr<PublicPage> asking(int threads = kAsks) const {
    auto page = std::make_unique<PublicPage>();
    page->magic = own_.at->magic;
    page->version = own_.at->version;
    page->size = own_.at->size;
    page->ledgers[3].ledger.store(1);
    note_asked(page->ledgers[3], threads, now_ms());
    return page;
  }

  static void write(const std::string& at, const std::unique_ptr<PublicPage>& page, uid_t owner,
                    mode_t mode = 0644, std::size_t size = sizeof(PublicPage)) {
    std::string bytes(size, '\0');
    std::memcpy(bytes.data(), page.get(), std::min(size, sizeof *page));
    std::ofstream(at, std::ios::binary) << bytes;
    REQUIRE(chown(at.c_str(), owner, owner) == 0);
    REQUIRE(chmod(at.c_str(), mode) == 0);
  }

  std::vector<Claimant> claims() const {
    std::vector<Claimant> found(kMostUsers);
    found.resize(read_claims(folder_.path().c_str(), geteuid(), found, now_ms()));
    return found;
  }
  int claim() const {
    const auto found = claims();
    return found.empty() ? 0 : found.front().wants;
  }

 private:
  LedgerFolder folder_;
  OwnPage own_;
  std::string suffix_;
};

const auto only_root = doctest::skip(geteuid() != 0);

// A process of this user that lives until the object ends.
class Living {
 public:
  explicit Living(uid_t user) : pid_(fork()) {
    if (pid_ == 0) {
      if (setgid(user) != 0 || setuid(user) != 0) _exit(1);
      for (;;) pause();
    }
    while (!belongs_to(pack({.pid = static_cast<std::uint32_t>(pid_)}), user)) usleep(1000);
  }
  Living(const Living&) = delete;
  Living& operator=(const Living&) = delete;
  ~Living() { end(); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  void stop() const {
    kill(pid_, SIGSTOP);
    int status = 0;
    waitpid(pid_, &status, WUNTRACED);
  }
  Word holding(int threads) const {
    std::string text;
    std::getline(std::ifstream("/proc/" + std::to_string(pid_) + "/stat"), text);
    return named_in(pack(parse_stat(text).identity)) | static_cast<Word>(threads);
  }

 private:
  pid_t pid_;
};

}  // namespace

TEST_CASE("another user's page is read" * only_root) {
  const Machine machine;
  CHECK(machine.claims().empty());
  Machine::write(machine.path(kUser), machine.asking(), kUser);
  Machine::write(machine.path(kOther), machine.asking(3), kOther);
  auto found = machine.claims();
  REQUIRE(found.size() == 2);
  std::ranges::sort(found, {}, &Claimant::user);
  CHECK(found[0].user == kUser);
  CHECK(found[0].wants == kAsks);
  CHECK(found[1].wants == 3);
}

TEST_CASE("what is not plainly a user's page claims nothing, and nobody waits for it" * only_root) {
  const Machine machine;
  const auto page = machine.asking();
  const std::string path = machine.path(kUser);
  SUBCASE("another owner") { Machine::write(path, page, kOther); }
  SUBCASE("mode 0600") { Machine::write(path, page, kUser, 0600); }
  SUBCASE("written by all") { Machine::write(path, page, kUser, 0666); }
  SUBCASE("set-user-id") { Machine::write(path, page, kUser, 04644); }
  SUBCASE("empty") { Machine::write(path, page, kUser, 0644, 0); }
  SUBCASE("cut") { Machine::write(path, page, kUser, 0644, sizeof(PublicPage) - 1); }
  SUBCASE("longer") { Machine::write(path, page, kUser, 0644, sizeof(PublicPage) + 1); }
  SUBCASE("another name for a user") { Machine::write(machine.path("0012345"), page, kUser); }
  SUBCASE("no user") { Machine::write(machine.path("12345x"), page, kUser); }
  SUBCASE("a number that no user has") {
    Machine::write(machine.path("4294979641"), page, kUser);  // 2^32 + 12345
  }
  SUBCASE("another version") {
    const auto other = machine.asking();
    ++other->version;
    Machine::write(path, other, kUser);
  }
  SUBCASE("something else") {
    const auto other = machine.asking();
    other->magic[0] = 'X';
    Machine::write(path, other, kUser);
  }
  SUBCASE("a link to one") {
    Machine::write(machine.folder() + "/page", page, kUser);
    REQUIRE(symlink((machine.folder() + "/page").c_str(), path.c_str()) == 0);
  }
  SUBCASE("a second name of a file") {
    Machine::write(machine.folder() + "/page", page, kUser);
    REQUIRE(link((machine.folder() + "/page").c_str(), path.c_str()) == 0);
  }
  SUBCASE("a folder") {
    REQUIRE(mkdir(path.c_str(), 0755) == 0);
    REQUIRE(chown(path.c_str(), kUser, kUser) == 0);
  }
  SUBCASE("a FIFO that nobody writes") {
    REQUIRE(mkfifo(path.c_str(), 0644) == 0);
    REQUIRE(chown(path.c_str(), kUser, kUser) == 0);
  }
  CHECK(machine.claims().empty());
}

TEST_CASE("a file under a lease or another mount is not waited for" * only_root) {
  const Machine machine;
  const std::string path = machine.path(kUser);
  Machine::write(path, machine.asking(), kUser);
  REQUIRE(machine.claim() == kAsks);
  SUBCASE("lease") {
    const pid_t owner = fork();
    if (owner == 0) {
      signal(SIGIO, SIG_IGN);
      const int file = open(path.c_str(), O_RDWR);
      if (fcntl(file, F_SETLEASE, F_WRLCK) != 0) _exit(1);
      for (;;) pause();
    }
    while (machine.claim() != 0) usleep(1000);
    const std::uint64_t before = now_ms();
    CHECK(machine.claims().empty());
    CHECK(now_ms() - before < 10'000);  // opening it would take 45 s
    kill(owner, SIGKILL);
    waitpid(owner, nullptr, 0);
  }
  SUBCASE("mount") {
    Machine::write(machine.folder() + "/page", machine.asking(), kUser);
    CHECK(in_child([&] {
            if (unshare(CLONE_NEWNS) != 0 ||
                mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                mount((machine.folder() + "/page").c_str(), path.c_str(), nullptr, MS_BIND,
                      nullptr) != 0) {
              return 0;  // not allowed in every container
            }
            return machine.claims().empty() ? 0 : 1;
          }) == 0);
  }
}

TEST_CASE("a page that its owner truncates all the time kills nobody" * only_root) {
  const Machine machine;
  const std::string path = machine.path(kUser);
  Machine::write(path, machine.asking(), kUser);
  CHECK(in_child([&] {
          std::atomic<bool> end{false};
          std::thread hostile([&] {
            while (!end) {
              if (truncate(path.c_str(), 0) != 0) break;
              if (truncate(path.c_str(), sizeof(PublicPage)) != 0) break;
            }
          });
          for (int i = 0; i < 20'000; ++i) machine.claims();
          end = true;
          hostile.join();
          return 0;
        }) == 0);
}

TEST_CASE("claims expire, and those of times to come are none" * only_root) {
  const Machine machine;
  const auto write = [&](std::uint64_t at_ms) {
    const auto page = machine.asking();
    for (auto& word : page->ledgers[3].asked) word.store(0);
    note_asked(page->ledgers[3], kAsks, at_ms);
    Machine::write(machine.path(kUser), page, kUser);
    return machine.claim();
  };
  CHECK(write(now_ms()) == kAsks);
  CHECK(write(now_ms() - 3 * kAskedMs) == 0);
  CHECK(write(now_ms() + 3 * kAskedMs) == 0);
  CHECK(write(now_ms() + (std::uint64_t{1} << 47)) == 0);
}

TEST_CASE("held threads count while a process of that user lives and runs" * only_root) {
  const Machine machine;
  Living process(kUser);
  const Living stranger(kOther);
  const auto claim_of = [&](Word held) {
    const auto page = machine.asking(0);
    page->ledgers[3].held.store(held);
    Machine::write(machine.path(kUser), page, kUser);
    return machine.claim();
  };
  const Word held = process.holding(5);
  CHECK(claim_of(held) == 5);
  CHECK(claim_of(held | Word{0x77} << 16) == 5);  // the number of the publication
  CHECK(claim_of(stranger.holding(5)) == 0);
  CHECK(claim_of(pack({.pid = 1}) | 5) == 0);
  CHECK(claim_of(held ^ Word{1} << 24) == 0);  // began at another time
  process.stop();
  CHECK(claim_of(held) == 0);
  process.end();
  CHECK(claim_of(held) == 0);
}

TEST_CASE("a liar gets a fair share" * only_root) {
  const Machine machine;
  const Living process(kUser);
  const auto page = machine.asking(0xffff);
  for (PublicSums& sums : page->ledgers) {
    sums.ledger.store(9);
    sums.held.store(process.holding(0xffff));
  }
  Machine::write(machine.path(kUser), page, kUser);
  CHECK(machine.claim() == 0xffff * static_cast<int>(kPublicLedgers));
  const auto standing = standing_of_newcomer(machine.folder(), 16);
  CHECK(standing.share == 8);
  CHECK(standing.others == 1);
}

TEST_CASE("a user's own page in a bad place: a finding, and no sharing" * only_root) {
  const LedgerFolder folder;
  std::string path;
  {
    const OwnPage first = open_own_page(folder.path());
    REQUIRE(first.at != nullptr);
    path = std::filesystem::directory_iterator(folder.path())->path().string();
    CHECK(std::filesystem::file_size(path) == sizeof(PublicPage));
    struct stat info{};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0644);
  }
  const auto refused = [&](const char* why) {
    const OwnPage page = open_own_page(folder.path());
    CHECK(page.at == nullptr);
    CHECK(page.finding.find(path) != std::string::npos);
    CHECK_MESSAGE(page.finding.find(why) != std::string::npos, page.finding);
  };
  SUBCASE("another owner") {
    REQUIRE(chown(path.c_str(), kUser, kUser) == 0);
    refused("belongs to user 12345 and is left alone");
  }
  SUBCASE("written by others") {
    REQUIRE(chmod(path.c_str(), 0666) == 0);
    refused("other rights than 0644");
  }
  SUBCASE("cut") {
    REQUIRE(truncate(path.c_str(), 8) == 0);
    refused("wrong size");
  }
  SUBCASE("something else") {
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << "XXXX";
    refused("is something else");
  }
  SUBCASE("a link") {
    REQUIRE(rename(path.c_str(), (path + "x").c_str()) == 0);
    REQUIRE(symlink((path + "x").c_str(), path.c_str()) == 0);
    refused("symbolic link");
  }
  SUBCASE("a FIFO") {
    REQUIRE(unlink(path.c_str()) == 0);
    REQUIRE(mkfifo(path.c_str(), 0644) == 0);
    refused("is not a regular file");
  }
}

TEST_CASE("no folder, no space, no file allowed") {
  const LedgerFolder folder;
  CHECK(open_own_page(folder.path() + "/nowhere").finding.find("cannot be made") !=
        std::string::npos);
  CHECK(standing_of_newcomer(folder.path() + "/nowhere", 4).share == 4);
  CHECK(in_child([&] {
          const rlimit none{0, 0};
          setrlimit(RLIMIT_FSIZE, &none);
          return open_own_page(folder.path()).at == nullptr ? 0 : 1;
        }) == 0);
  CHECK(in_child([&] {
          if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
              mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
              mount("none", folder.path().c_str(), "tmpfs", 0, "size=4k") != 0) {
            return 0;
          }
          std::ofstream(folder.path() + "/full") << std::string(5000, 'x');
          const OwnPage page = open_own_page(folder.path());
          return page.finding.find("No space left") != std::string::npos ? 0 : 1;
        }) == 0);
}

TEST_CASE("a page has room for so many ledgers; those long forgotten make way" * only_root) {
  const Machine machine;
  const std::uint64_t now = now_ms() + 10'000'000;
  std::vector<PublicSums*> places;
  for (std::uint64_t ledger = 1; ledger <= kPublicLedgers; ++ledger) {
    PublicSums* const sums = sums_for(machine.own(), ledger, now);
    REQUIRE(sums != nullptr);
    note_asked(*sums, 1, now);
    places.push_back(sums);
  }
  CHECK(sums_for(machine.own(), 3, now) == places[2]);
  CHECK(sums_for(machine.own(), 99, now) == nullptr);
  CHECK(sums_for(machine.own(), 99, now + 700'000) == places[0]);
  CHECK(sums_for(machine.own(), 1, now + 700'000) == places[1]);
}

TEST_CASE("a ledger takes an empty place before one that is forgotten" * only_root) {
  const Machine machine;
  const std::uint64_t now = now_ms() + 10'000'000;
  PublicSums* const idle = sums_for(machine.own(), 1, now);
  PublicSums* const fresh = sums_for(machine.own(), 2, now + 700'000);
  CHECK(fresh != idle);
  CHECK(sums_for(machine.own(), 1, now + 700'000) == idle);
}
