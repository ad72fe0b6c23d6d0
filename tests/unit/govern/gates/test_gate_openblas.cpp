// The gate of OpenBLAS over a look-alike that keeps its count where OpenBLAS does. Its calls are
// made here: the listener hears of them as it would from the work buffers.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "broken_code.h"
#include "govern/gates/gate_openblas.h"
#include "grant_table.h"
#include "stub_pool.h"

using namespace corewise;
using namespace corewise::govern;
using test::GrantTable;
using test::stub_pool;

namespace {

// A copy that is governed for the life of the object. The program has set 8 threads.
class GovernedCopy {
 public:
  explicit GovernedCopy(const char* file = "libopenblas-counted.so") : pool(test::stub_pool(file)) {
    set(8);
    attach();
  }
  GovernedCopy(const GovernedCopy&) = delete;
  GovernedCopy& operator=(const GovernedCopy&) = delete;
  ~GovernedCopy() {
    gate::cap_pool(pool.id, 0);
    CHECK(openblas::detach_all().empty());
  }

  void attach() { attached = openblas::attach(pool, report()); }

  // As the program calls them.
  void set(int threads) const { function<void(int)>("openblas_set_num_threads")(threads); }
  int get() const { return function<int()>("openblas_get_num_threads")(); }
  // What the library's next call runs on.
  int count() const { return *static_cast<int*>(symbol("blas_cpu_number")); }

  void enter_call() const { openblas::listener().enter(&pool, 0); }
  void leave_call() const { openblas::listener().leave(&pool); }

  void* symbol(const char* name) const {
    void* const library = ::dlopen(pool.path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    REQUIRE(library != nullptr);
    void* const found = ::dlsym(library, name);
    REQUIRE(found != nullptr);
    return found;
  }

  const Pool& pool;
  openblas::Attached attached;

 private:
  openblas_buffers::CopyReport report() const {
    openblas_buffers::CopyReport served;
    served.id = &pool;
    return served;
  }
  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(symbol(name));
  }
};

}  // namespace

TEST_CASE("OpenBLAS's gate: a call runs on its grant, and the program reads its own number") {
  GrantTable table(3);
  const GovernedCopy copy;
  CHECK(copy.attached.governed);
  CHECK(copy.attached.reason == "");
  CHECK(copy.count() == 8);
  copy.enter_call();
  CHECK(copy.count() == 3);
  CHECK(table.open == 1);
  CHECK(copy.get() == 8);
  copy.leave_call();
  CHECK(table.open == 0);
  CHECK(table.free == 3);
}

TEST_CASE("OpenBLAS's gate: a call that gets all leaves the program's number") {
  const GrantTable table(16);
  const GovernedCopy copy;
  copy.enter_call();
  CHECK(copy.count() == 8);
  copy.leave_call();
  CHECK(copy.count() == 8);
}

TEST_CASE("OpenBLAS's gate: what the program sets is the upper bound from then on") {
  const GrantTable table(16);
  const GovernedCopy copy;
  copy.set(5);
  CHECK(copy.get() == 5);
  copy.enter_call();
  CHECK(copy.count() == 5);
  copy.leave_call();
  // 0 means the most that it ever had.
  copy.set(0);
  CHECK(copy.get() == 8);
}

TEST_CASE("OpenBLAS's gate: a cap holds for calls, and for what calls do not pass") {
  const GrantTable table(16);
  const GovernedCopy copy;
  gate::cap_pool(copy.pool.id, 2);
  openblas::obey_caps();
  CHECK(copy.count() == 2);
  CHECK(copy.get() == 8);
  copy.enter_call();
  CHECK(copy.count() == 2);
  copy.leave_call();
  gate::cap_pool(copy.pool.id, 0);
  openblas::obey_caps();
  CHECK(copy.count() == 8);
}

TEST_CASE("OpenBLAS's gate: inside a region of several threads a call has one") {
  const GrantTable table(16);
  const GovernedCopy copy;
  const gate::Visit region = gate::enter(gate::VisitKind::kRegion, 4);
  CHECK(copy.count() == 1);  // for the routines that no gate sees, too
  copy.enter_call();
  CHECK(copy.count() == 1);
  copy.leave_call();
  copy.set(6);
  CHECK(copy.count() == 1);
  gate::leave(region);
  CHECK(copy.count() == 6);
}

TEST_CASE("OpenBLAS's gate: a copy that is given back is as it was") {
  GrantTable table(2);
  const GovernedCopy copy;
  copy.enter_call();
  CHECK(copy.count() == 2);
  copy.leave_call();
  CHECK(openblas::detach_all().empty());
  CHECK(copy.count() == 8);
  copy.set(5);
  CHECK(copy.count() == 5);
  copy.enter_call();
  CHECK(copy.count() == 5);
  CHECK(table.open == 0);
  copy.leave_call();
}

TEST_CASE("OpenBLAS's gate: a copy whose setter stays its own is only counted, each time") {
  GrantTable table(2);
  GovernedCopy copy("libopenblas-unsized.so");
  for (int round = 0; round < 2; ++round) {
    INFO(round);
    CHECK(copy.attached.governed);
    CHECK(copy.attached.reason.ends_with("run as wide as the program sets"));
    copy.set(4);
    copy.enter_call();
    CHECK(table.open == 1);
    CHECK(copy.get() == 4);
    CHECK(copy.count() == 4);
    copy.leave_call();
    CHECK(openblas::detach_all().empty());
    CHECK(copy.count() == 4);
    copy.set(8);
    copy.attach();
  }
}

#if defined(__x86_64__)
// A jump takes 5 bytes of the setter's first instruction, which has 7: with its last byte changed
// the hook runs as before and cannot be removed.
TEST_CASE("OpenBLAS's gate: a setter that cannot be given back sets what the program says") {
  constexpr std::size_t kBehindTheJump = 6;
  GrantTable table(16);
  GovernedCopy copy;
  REQUIRE(copy.attached.reason == "");
  {
    const test::BrokenCode set(copy.symbol("openblas_set_num_threads"), kBehindTheJump);
    CHECK(openblas::detach_all().size() == 1);
    {
      const test::BrokenCode get(copy.symbol("openblas_get_num_threads"), kBehindTheJump);
      copy.attach();
    }
    CHECK(copy.attached.reason.ends_with("run as wide as the program sets"));
    const gate::Visit region = gate::enter(gate::VisitKind::kRegion, 4);
    copy.set(6);
    gate::leave(region);
    CHECK(copy.count() == 6);
  }
}
#endif

TEST_CASE("OpenBLAS's gate: a copy that is refused keeps its count") {
  const GrantTable table(16);
  // As where corewise has bounded how many threads OpenBLAS starts, and the program wants others.
  ::setenv("GOTO_NUM_THREADS", "1", 1);
  ::setenv("COREWISE_BLAS_STARTED", "1", 1);
  ::setenv("OMP_NUM_THREADS", "2", 1);
  openblas_buffers::CopyReport served;
  const Pool& refused = stub_pool("libopenblas-miscounted.so");
  served.id = &refused;
  CHECK(openblas::attach(refused, served).reason == "its blas_cpu_number is not its thread count");
  CHECK(refused.threads() == 9);
  for (const char* name : {"GOTO_NUM_THREADS", "COREWISE_BLAS_STARTED", "OMP_NUM_THREADS"}) {
    ::unsetenv(name);
  }
  // The next one takes the place that was meant for it.
  const Pool& next = stub_pool("libopenblas-openmp.so");
  served.id = &next;
  CHECK(openblas::attach(next, served).governed);
  const auto before = refused.threads();
  const gate::Visit region = gate::enter(gate::VisitKind::kRegion, 4);
  CHECK(refused.threads() == before);
  gate::leave(region);
  CHECK(openblas::detach_all().empty());
}

TEST_CASE("OpenBLAS's gate: copies that it cannot govern, with the reason") {
  openblas_buffers::CopyReport served;
  const auto reason = [&](const Pool& pool) {
    served.id = &pool;
    const openblas::Attached attached = openblas::attach(pool, served);
    CHECK_FALSE(attached.governed);
    return attached.reason;
  };
  CHECK(reason(stub_pool("libopenblas-serial.so")) == "it was built without threads");
  CHECK(reason(stub_pool("libopenblas.so")) == "its blas_cpu_number is in no symbol table");
}
