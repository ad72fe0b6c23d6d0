// A module that keeps what libgomp keeps: this program, with pools made by hand.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "govern/gates/dead_workers.h"
#include "govern/grants/gate.h"
#include "os/patch.h"
#include "pools/discover.h"

using namespace corewise;
using namespace corewise::govern;

namespace {

using Word = std::uintptr_t;

Word address(const void* of) { return reinterpret_cast<Word>(of); }

struct PoolByHand {
  Word* threads;
  std::uint32_t size;
  std::uint32_t used;
};

// The thread that forks: its variables, among them the pool.
struct Mine {
  Word before = 1;
  Word pool = 0;
};
thread_local Mine mine;
int level = 0;
int level_now() { return level; }

Grant grant(void*, const GrantRequest& request) noexcept { return {.threads = request.wanted}; }
void take(void*, const Grant&) noexcept {}
constexpr Grants kGrants = {grant, take, nullptr};

// Whether the word is the same in a child that does what `then` does.
template <class Then>
bool is_kept(Word pool, Then then) {
  mine.pool = pool;
  const pid_t child = ::fork();
  if (child == 0) {
    then();
    ::_exit(mine.pool == pool ? 1 : 0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  const bool same = mine.pool == pool;
  REQUIRE(same);
  mine.pool = 0;
  return WEXITSTATUS(status) == 1;
}

bool is_kept(Word pool) {
  return is_kept(pool, [] {});
}

Word base_of_this_program() {
  for (const os::LoadedModule& module : modules()) {
    if (module.contains(address(&level))) return module.base;
  }
  return 0;
}

struct Watched {
  Watched() {
    gate::open(&kGrants);
    dead_workers::watch(0, base_of_this_program(), level_now);
  }
  ~Watched() {
    gate::open(nullptr);
    dead_workers::watch(0, 0, nullptr);
    level = 0;
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
};

}  // namespace

TEST_CASE("A child leaves the pool of dead workers, and nothing else") {
  const Watched watched;
  std::array<Word, 4> worker{};
  std::array<Word, 4> threads{address(&mine), address(&worker)};
  PoolByHand pool{threads.data(), 4, 3};

  SUBCASE("the thread itself is in it") { CHECK_FALSE(is_kept(address(&pool))); }
  SUBCASE("a worker has the same word") {
    threads[0] = 0;
    worker[1] = address(&pool);
    CHECK_FALSE(is_kept(address(&pool)));
  }
  SUBCASE("none of its threads leads back") {
    threads[0] = 0;
    CHECK(is_kept(address(&pool)));
  }
  SUBCASE("a team of one has no workers") {
    pool.used = 1;
    CHECK(is_kept(address(&pool)));
  }
  SUBCASE("the numbers are not a pool's") {
    pool.used = 5;
    CHECK(is_kept(address(&pool)));
  }
  SUBCASE("what it leads to cannot be read") {
    threads[0] = 0;
    threads[1] = 8;
    CHECK(is_kept(address(&pool)));
    pool.threads = reinterpret_cast<Word*>(8);
    CHECK(is_kept(address(&pool)));
    CHECK(is_kept(8));
    CHECK(is_kept(address(&pool) + 1));
  }
  SUBCASE("inside a region it is left after it") {
    level = 1;
    CHECK(is_kept(address(&pool)));
    CHECK(is_kept(address(&pool), [] { dead_workers::before_region(0); }));
    CHECK_FALSE(is_kept(address(&pool), [] {
      level = 0;
      dead_workers::before_region(0);
    }));
  }
  SUBCASE("not governed") {
    gate::open(nullptr);
    CHECK(is_kept(address(&pool)));
  }
  CHECK(mine.before == 1);
}

TEST_CASE("Whether a word may be read") {
  const int before = errno;
  const Word word = 0;
  CHECK(os::is_readable(address(&word)));
  CHECK_FALSE(os::is_readable(0));
  const std::size_t size = os::page_size();
  void* const page = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  CHECK_FALSE(os::is_readable(address(page)));
  ::munmap(page, size);
  CHECK_FALSE(os::is_readable(address(page)));
  CHECK(errno == before);
}
