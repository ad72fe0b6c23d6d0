// What keeps each kind of pool inside the budget and its cap.
#include <doctest/doctest.h>

#include "govern/pool_policy.h"
#include "stub_pool.h"

using namespace corewise;
using namespace corewise::govern;
using test::stub_pool;
using test::unasked_stub_pool;

namespace {

int threads(const Pool& pool) { return pool.ask_threads().value_or(0); }

Rule cap_of(const Pool& pool, int most) { return {CW_MATCH_ID, {}, pool.id, most}; }

}  // namespace

TEST_CASE("policy: a pool without a gate is limited to the most, and has its own count back") {
  Pool& pool = stub_pool("libblis.so");
  REQUIRE(pool.runtime->set);
  pool.runtime->set(pool, 6);
  PoolPolicy policy;
  policy.add(pool);
  REQUIRE(policy.pools().size() == 1);
  CHECK(policy.pools()[0].how == Governed::kLimit);
  CHECK_FALSE(policy.pools()[0].has_gate());
  policy.set_most(3);
  policy.obey();
  CHECK(threads(pool) == 3);
  policy.set_most(8);
  policy.obey();
  CHECK(threads(pool) == 6);  // a limit never raises
  policy.set_most(2);
  policy.obey();
  CHECK(threads(pool) == 2);
  policy.let_go();
  CHECK(policy.pools().empty());
  CHECK(threads(pool) == 6);
}

TEST_CASE("policy: of cap and most the lower holds, and the cap is told") {
  Pool& pool = stub_pool("libblis.so");
  pool.runtime->set(pool, 6);
  PoolPolicy policy;
  policy.add(pool);
  policy.set_most(4);
  policy.set_caps({cap_of(pool, 2)});
  policy.obey();
  CHECK(threads(pool) == 2);
  const auto told = policy.caps();
  REQUIRE(told.size() == 1);
  CHECK(told[0].pool == pool.id);
  CHECK(told[0].most == 2);
  CHECK_FALSE(told[0].gate);
  CHECK(told[0].finding.empty());
  policy.set_caps({cap_of(pool, 5)});
  policy.obey();
  CHECK(threads(pool) == 4);
  policy.set_caps({});
  policy.obey();
  CHECK(policy.caps().empty());
  policy.let_go();
  CHECK(threads(pool) == 6);
}

TEST_CASE("policy: caps are tried without a change") {
  Pool& pool = stub_pool("libblis.so");
  pool.runtime->set(pool, 6);
  const PoolPolicy policy;
  const auto told = policy.with_caps({cap_of(pool, 2)}, false);
  REQUIRE(told.size() == 1);
  CHECK(told[0].most == 2);
  CHECK(threads(pool) == 6);
  CHECK_FALSE(policy.has_caps());
}

TEST_CASE("policy: a pool that is not used yet is set for a cap only, and not amid a call") {
  // Asking replaces the pool.
  const std::uint32_t id = unasked_stub_pool("libblis-unused.so").id;
  const auto is_unused = [&] { return !pool_at(id).asked && !pool_at(id).may_be_asked(); };
  REQUIRE(is_unused());
  PoolPolicy policy;
  policy.add(pool_at(id));
  policy.set_most(3);
  policy.obey();
  CHECK(is_unused());
  policy.set_caps({cap_of(pool_at(id), 2)});
  {
    const AmidCall amid;
    policy.obey();
  }
  CHECK(is_unused());
  policy.obey();
  CHECK_FALSE(is_unused());
  CHECK(threads(pool_at(id)) == 2);
  policy.let_go();
  CHECK(threads(pool_at(id)) == 6);
}

TEST_CASE("policy: a count of each thread's own is said to reach one thread only") {
  Pool& pool = stub_pool("libblis-local.so");
  PoolPolicy policy;
  policy.add(pool);
  policy.set_most(2);
  policy.set_caps({cap_of(pool, 2)});
  policy.obey();
  const auto told = policy.caps();
  REQUIRE(told.size() == 1);
  CHECK(told[0].finding.find("each thread has a count of its own") != std::string::npos);
  policy.let_go();
}

TEST_CASE("policy: an OpenBLAS whose buffers are not found has no gate, and says why") {
  Pool& pool = stub_pool("libopenblas.so");
  PoolPolicy policy;
  policy.add(pool);
  REQUIRE(policy.pools().size() == 1);
  const GovernedPool& governed = policy.pools()[0];
  CHECK(governed.how == Governed::kNone);
  CHECK_FALSE(governed.served);
  CHECK_FALSE(governed.finding.empty());
  CHECK(governed.by_limit == GovernedPool::ByLimit::kCap);
  policy.let_go();
}
