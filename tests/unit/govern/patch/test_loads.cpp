// Who is called after a load, when, and in which order.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "gate_fixture.h"
#include "govern/patch/loads.h"

using namespace corewise::govern;
using loads::Stage;

namespace {

std::string called;
bool governor_is_done = true;

bool governor(bool asked) {
  called += asked ? "G" : "g";
  return governor_is_done;
}
bool death_watch(bool asked) {
  errno = EBADF;
  called += asked ? "D" : "d";
  return true;
}

// Both stages, for its life.
class BothStages {
 public:
  BothStages() {
    loads::set(Stage::kDeathWatch, death_watch);
    loads::set(Stage::kGovernor, governor);
    called.clear();
    governor_is_done = true;
  }
  BothStages(const BothStages&) = delete;
  BothStages& operator=(const BothStages&) = delete;
  ~BothStages() {
    loads::set(Stage::kGovernor, nullptr);
    loads::set(Stage::kDeathWatch, nullptr);
  }
};

void* next_dlsym(void* /*library*/, const char* /*name*/) { return &called; }

// What a call of dlsym called, in this order.
std::string dlsym_calls() {
  called.clear();
  const Origin origin{"dlsym", reinterpret_cast<void*>(next_dlsym)};
  auto* const hooked = corewise::test::replacement_in<void*(void*, const char*, const Origin*)>(
      loads::got_requests(), "dlsym");
  CHECK(hooked(nullptr, "name", &origin) == &called);
  return called;
}

}  // namespace

TEST_CASE("loads: all stages in their order where somebody asks, and those that follow") {
  const BothStages both;
  loads::run_all();
  CHECK(called == "GD");
  called.clear();
  loads::run_after(Stage::kGovernor);
  CHECK(called == "d");
  called.clear();
  loads::set(Stage::kGovernor, nullptr);
  loads::run_all();
  CHECK(called == "D");
}

#if defined(__OPTIMIZE__)
TEST_CASE("loads: a dlsym after a load calls the stages once") {
  const BothStages both;
  CHECK(dlsym_calls() == "gd");
  CHECK(dlsym_calls().empty());
  void* const library = ::dlopen(COREWISE_STUBS "/libplain.so", RTLD_NOW);
  REQUIRE(library != nullptr);
  CHECK(dlsym_calls() == "gd");
  CHECK(dlsym_calls().empty());
  ::dlclose(library);
  CHECK(dlsym_calls() == "gd");
}

TEST_CASE("loads: a stage that could not do its part is called again, and those after it then") {
  const BothStages both;
  governor_is_done = false;
  CHECK(dlsym_calls() == "g");
  CHECK(dlsym_calls() == "g");
  called.clear();
  loads::run_all();
  CHECK(called == "GD");
  governor_is_done = true;
  CHECK(dlsym_calls() == "gd");
  CHECK(dlsym_calls().empty());
}
#endif

TEST_CASE("loads: a name that is asked for leaves errno alone") {
  const BothStages both;
  if (loads::got_requests().empty()) return;  // built without optimisation
  errno = 0;
  const std::string calls = dlsym_calls();
  const int left = errno;
  CHECK(calls == "gd");
  CHECK(left == 0);
}
