// Function entries and GOT entries of libraries built for this, hooked and given back.
#include "govern/patch/hook.h"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "os/patch.h"

namespace os = corewise::os;
using corewise::govern::EntryHook;
using corewise::govern::EntryRequest;
using corewise::govern::exchange;
using corewise::govern::GotEntries;
using corewise::govern::KeptMappings;
using corewise::govern::Origin;
using corewise::govern::Patch;
using corewise::govern::Way;

namespace {

using Two = int(int, int);

struct Library {
  explicit Library(const std::string& name, int mode = RTLD_NOW | RTLD_LOCAL)
      : handle(dlopen((std::string(COREWISE_STUBS) + "/lib" + name + ".so").c_str(), mode)) {
    REQUIRE_MESSAGE(handle != nullptr, dlerror());
  }
  template <class T>
  T* get(const char* name) const {
    return reinterpret_cast<T*>(dlsym(handle, name));
  }
  void* handle;
};

std::size_t size_of(const void* function) {
  Dl_info info{};
  void* symbol = nullptr;
  dladdr1(function, &info, &symbol, RTLD_DL_SYMENT);
  return static_cast<const ElfW(Sym)*>(symbol)->st_size;
}

std::string bytes_of(const void* at, std::size_t n) { return {static_cast<const char*>(at), n}; }

// Here the linker lets a call share the GOT entry of an address, there it does not.
#if defined(__aarch64__)
constexpr std::size_t kEntriesOfCaller = 3;
#else
constexpr std::size_t kEntriesOfCaller = 2;
#endif

struct Context {
  std::atomic<int> calls = 0;
  Two* original = nullptr;
};

int replaced(int a, int b, Context* context) {
  context->calls.fetch_add(1);
  return context->original == nullptr ? -1 : context->original(a, b) + 1000;
}

int got_replaced(int a, int b, const Origin* origin) {
  return reinterpret_cast<Two*>(origin->function)(a, b) + 5000;
}

int short_replaced(const Origin* origin) {
  return reinterpret_cast<int (*)()>(origin->function)() + 5000;
}

EntryRequest request_for(Two* function, Context& context) {
  const auto* at = reinterpret_cast<const void*>(function);
  return {"stub_parallel",
          reinterpret_cast<std::uintptr_t>(at),
          size_of(at),
          2,
          reinterpret_cast<const void*>(&replaced),
          &context};
}

}  // namespace

TEST_CASE("an entry is replaced, calls the original, and comes back byte for byte") {
  const Library callee("callee_1");
  auto* function = callee.get<Two>("stub_parallel");
  const std::string before = bytes_of(reinterpret_cast<void*>(function), 64);
  Context context;
  auto entry = EntryHook::prepare(request_for(function, context));
  REQUIRE_MESSAGE(entry, entry.error().what);
  CHECK(bytes_of(reinterpret_cast<void*>(function), 64) == before);
  context.original = entry->original<Two>();
  CHECK(context.original(1, 2) == 4);

  REQUIRE_FALSE(entry->install());
  CHECK(function(1, 2) == 1004);
  CHECK(context.calls == 1);
  const auto rights =
      os::AddressSpace::read()->rights(reinterpret_cast<std::uintptr_t>(function), 8);
  REQUIRE(rights);
  CHECK(rights->executable());
  CHECK_FALSE(rights->writable());
  const auto again = entry->install();
  REQUIRE(again);
  CHECK(again->what == "stub_parallel is left alone: it no longer holds what was found there");

  REQUIRE_FALSE(entry->remove());
  CHECK(function(1, 2) == 4);
  CHECK(bytes_of(reinterpret_cast<void*>(function), 64) == before);
  CHECK(context.original(1, 2) == 4);
}

TEST_CASE("preparing the same hook again takes no further page") {
  const Library callee("callee_1");
  Context context;
  auto request = request_for(callee.get<Two>("stub_parallel"), context);
  const auto first = EntryHook::prepare(request);
  const auto second = EntryHook::prepare(request);
  REQUIRE(first);
  REQUIRE(second);
  CHECK((first->original<Two>() == second->original<Two>()));
}

TEST_CASE("a function with no room for a jump is refused, and goes on") {
  const Library callee("callee_1");
  Context context;
  auto request = request_for(callee.get<Two>("stub_parallel"), context);
  request.size = 2;
  CHECK_FALSE(EntryHook::prepare(request));
  CHECK(callee.get<Two>("stub_parallel")(1, 2) == 4);
}

TEST_CASE("what is no function to hook is refused, with its name and why") {
  const Library callee("callee_1");
  Context context;
  auto request = request_for(callee.get<Two>("stub_parallel"), context);
  const auto why = [](const EntryRequest& what) {
    const auto entry = EntryHook::prepare(what);
    return entry ? std::string() : entry.error().what;
  };
  request.size = 0;
  CHECK(why(request) == "stub_parallel is left alone: its code is not where its symbol says");
  request.size = 16;
  request.address = reinterpret_cast<std::uintptr_t>(&context);
  CHECK(why(request) == "stub_parallel is left alone: its code is not where its symbol says");
  request.address = 4096;
  CHECK(why(request) == "stub_parallel is left alone: its code is not where its symbol says");
}

TEST_CASE("installed and removed 1,000 times while threads run through it") {
  const Library callee("callee_1");
  auto* function = callee.get<Two>("stub_parallel");
  Context context;
  auto entry = EntryHook::prepare(request_for(function, context));
  REQUIRE(entry);
  context.original = entry->original<Two>();
  std::atomic<bool> stop = false;
  std::atomic<long> wrong = 0;
  std::atomic<long> calls = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        const int got = function(20, 2);
        if (got != 23 && got != 1023) ++wrong;
        ++calls;
      }
    });
  }
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(entry->install());
    if (i % 16 == 0) std::this_thread::yield();
    CHECK_FALSE(entry->remove());
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(calls > 1000);
  CHECK(context.calls > 0);
}

TEST_CASE("children forked during installation find no memory left writable") {
  const Library callee("callee_1");
  auto* function = callee.get<Two>("stub_parallel");
  Context context;
  auto entry = EntryHook::prepare(request_for(function, context));
  REQUIRE(entry);
  context.original = entry->original<Two>();
  std::atomic<bool> stop = false;
  std::thread patcher([&] {
    while (!stop) {
      entry->install();
      entry->remove();
    }
  });
  int bad = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const auto rights =
          os::AddressSpace::read()->rights(reinterpret_cast<std::uintptr_t>(function), 8);
      const int got = function(20, 2);
      entry->install();
      entry->remove();
      _exit(rights && !rights->writable() && (got == 23 || got == 1023) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) ++bad;
  }
  stop = true;
  patcher.join();
  CHECK(bad == 0);
}

TEST_CASE("GOT entries: two runtimes of the same name are told apart") {
  const Library first("caller_of_2");
  const Library second("caller_of_3");
  GotEntries entries({{"stub_parallel", reinterpret_cast<const void*>(&got_replaced), 2}});
  CHECK(first.get<Two>("caller_call")(1, 2) == 5);
  CHECK(second.get<Two>("caller_call")(1, 2) == 6);
  entries.rewrite();
  CHECK(first.get<Two>("caller_call")(1, 2) == 5005);
  CHECK(second.get<Two>("caller_call")(1, 2) == 5006);
  CHECK(entries.restore().empty());
  CHECK(first.get<Two>("caller_call")(1, 2) == 5);
  CHECK(second.get<Two>("caller_call")(1, 2) == 6);
}

TEST_CASE("GOT entries: bound, lazy and read-only ones, and pointers; each with its own original") {
  const Library callee("callee_1", RTLD_NOW | RTLD_GLOBAL);
  const Library now("caller_now");
  const Library lazy("caller_lazy", RTLD_LAZY | RTLD_LOCAL);
  GotEntries entries({{"stub_parallel", reinterpret_cast<const void*>(&got_replaced), 2},
                      {"stub_short", reinterpret_cast<const void*>(&short_replaced), 0}});
  for (const auto& left : entries.rewrite()) FAIL_CHECK(left);
  // Those of the two pairs of the test above are still loaded.
  CHECK(entries.size() == 4 * kEntriesOfCaller);
  CHECK(now.get<Two>("caller_call")(1, 2) == 5004);
  CHECK(lazy.get<Two>("caller_call")(1, 2) == 5004);
  // Bound only by its first call, which goes through us and leaves the GOT entry ours.
  CHECK(lazy.get<int()>("caller_short")() == 5001);
  CHECK(lazy.get<int()>("caller_short")() == 5001);
  CHECK(callee.get<Two>("stub_parallel")(1, 2) == 4);
  CHECK(now.get<void*()>("caller_address")() !=
        reinterpret_cast<void*>(callee.get<Two>("stub_parallel")));

  CHECK(entries.rewrite().empty());
  CHECK(entries.size() == 4 * kEntriesOfCaller);
  {
    const Library late("caller_late");
    CHECK(late.get<Two>("caller_call")(1, 2) == 4);
    CHECK(entries.rewrite().empty());
    CHECK(entries.size() == 5 * kEntriesOfCaller);
    CHECK(late.get<Two>("caller_call")(1, 2) == 5004);
    // Gone before it is restored.
    dlclose(late.handle);
  }
  CHECK(entries.restore().empty());
  CHECK(entries.size() == 0);
  CHECK(now.get<Two>("caller_call")(1, 2) == 4);
  CHECK(lazy.get<Two>("caller_call")(1, 2) == 4);
  CHECK(lazy.get<int()>("caller_short")() == 1);
  CHECK(now.get<void*()>("caller_address")() ==
        reinterpret_cast<void*>(callee.get<Two>("stub_parallel")));
  CHECK(entries.restore().empty());
}

TEST_CASE("one look serves many words, also where a page came or was closed since") {
  const auto map_word = [] {
    void* page =
        mmap(nullptr, os::page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    return static_cast<std::uint64_t*>(page);
  };
  const auto patch_of = [](std::uint64_t* word) {
    Patch patch;
    patch.at = reinterpret_cast<std::uintptr_t>(word);
    patch.after.bytes[0] = 7;
    return patch;
  };
  std::uint64_t* const early = map_word();
  {
    const KeptMappings mappings;
    CHECK_FALSE(exchange(patch_of(early), Way::install));
    // As the loader does once it has bound a module.
    REQUIRE(mprotect(early, os::page_size(), PROT_READ) == 0);
    CHECK_FALSE(exchange(patch_of(early), Way::remove));
    CHECK(*early == 0);
    std::uint64_t* const late = map_word();
    CHECK_FALSE(exchange(patch_of(late), Way::install));
    CHECK(*late == 7);
    munmap(late, os::page_size());
  }
  munmap(early, os::page_size());
  const auto gone = exchange(patch_of(early), Way::install);
  REQUIRE(gone);
  CHECK(gone->what == "its module is no longer loaded");
}

TEST_CASE("GOT entries: one that the loader closes after the look is closed afterwards") {
  const Library callee("callee_1", RTLD_NOW | RTLD_GLOBAL);
  const Library now("caller_now");
  const auto loaded = reinterpret_cast<std::uintptr_t>(now.get<Two>("caller_call"));
  os::Segment relro;
  os::visit_modules([&](const os::LoadedModule& module) {
    if (module.contains(loaded)) relro = module.relro;
  });
  const std::uintptr_t page = relro.begin / os::page_size() * os::page_size();
  const auto set = [&](int rights) {
    REQUIRE(mprotect(reinterpret_cast<void*>(page), relro.end - page, rights) == 0);
  };
  GotEntries entries({{"stub_parallel", reinterpret_cast<const void*>(&got_replaced), 2}});
  {
    const KeptMappings mappings;
    set(PROT_READ | PROT_WRITE);
    std::uint64_t word = 0;
    Patch patch;
    patch.at = reinterpret_cast<std::uintptr_t>(&word);
    CHECK_FALSE(exchange(patch, Way::install));  // looks
    set(PROT_READ);
    CHECK(entries.rewrite().empty());
  }
  CHECK(now.get<Two>("caller_call")(1, 2) == 5004);
  const auto rights = os::AddressSpace::read()->rights(page, relro.end - page);
  REQUIRE(rights);
  CHECK_FALSE(rights->writable());
  CHECK(entries.restore().empty());
}

TEST_CASE("GOT entries: one that somebody else has changed since is left alone and reported") {
  const Library callee("callee_1", RTLD_NOW | RTLD_GLOBAL);
  const Library now("caller_now");
  GotEntries ours({{"stub_parallel", reinterpret_cast<const void*>(&got_replaced), 2}});
  GotEntries theirs({{"stub_parallel", reinterpret_cast<const void*>(&got_replaced), 2}});
  ours.rewrite();
  theirs.rewrite();
  CHECK(now.get<Two>("caller_call")(1, 2) == 10004);
  const std::vector<std::string> left = ours.restore();
  REQUIRE_FALSE(left.empty());
  CHECK(left.front().starts_with("stub_parallel as called by "));
  CHECK(left.front().ends_with("it no longer holds what was found there"));
  CHECK(now.get<Two>("caller_call")(1, 2) == 10004);
  CHECK(theirs.restore().empty());
  CHECK(now.get<Two>("caller_call")(1, 2) == 5004);
  // Back to the beginning for the tests that follow.
  GotEntries rest(
      {{"stub_parallel", reinterpret_cast<const void*>(callee.get<Two>("stub_parallel")), -1}});
  rest.rewrite();
  CHECK(now.get<Two>("caller_call")(1, 2) == 4);
}

TEST_CASE("GOT entries: rewritten and restored 1,000 times while threads call through them") {
  const Library callee("callee_1", RTLD_NOW | RTLD_GLOBAL);
  const Library now("caller_now");
  auto* call = now.get<Two>("caller_call");
  std::atomic<bool> stop = false;
  std::atomic<long> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const int got = call(20, 2);
        if (got != 23 && got != 5023) ++wrong;
      }
    });
  }
  GotEntries entries({{"stub_parallel", reinterpret_cast<const void*>(&got_replaced), 2}});
  for (int i = 0; i < 1000; ++i) {
    CHECK(entries.rewrite().empty());
    CHECK(entries.restore().empty());
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}
