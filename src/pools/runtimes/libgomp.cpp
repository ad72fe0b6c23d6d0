// GNU libgomp. Wheels carry renamed copies; each copy is a pool of its own.
#include <algorithm>
#include <vector>

#include "base/text.h"
#include "openmp_icv.h"
#include "os/machine.h"
#include "pools/find_spin_word.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libgomp"};

// In addition to those of every OpenMP runtime; since GCC 6.
enum LibgompFunction : std::size_t { kPlaceCount = 8, kPlaceSize, kPlaceCpus, kCpus };

bool prove(const SymbolLookup& symbols, Proof& proof) {
  proof.at[kPlaceCount] = symbols.address("omp_get_num_places");
  proof.at[kPlaceSize] = symbols.address("omp_get_place_num_procs");
  proof.at[kPlaceCpus] = symbols.address("omp_get_place_proc_ids");
  proof.at[kCpus] = symbols.address("omp_get_num_procs");
  return openmp::prove(symbols, proof) && symbols.address("GOMP_parallel") != 0 &&
         !openmp::is_llvm(symbols);
}

// libgomp's constructor has settled all of it: the getters only read. If there are places,
// omp_get_num_procs() is how many CPUs its thread had at that time (config/linux/proc.c).
std::optional<Places> places(const Pool& pool) {
  for (const std::size_t function : {kPlaceCount, kPlaceSize, kPlaceCpus, kCpus}) {
    if (pool.proof.at[function] == 0) return std::nullopt;
  }
  Places found;
  const int count = pool.call<int()>(kPlaceCount)();
  for (int place = 0; place < count; ++place) {
    std::vector<int> numbers(
        static_cast<std::size_t>(std::max(0, pool.call<int(int)>(kPlaceSize)(place))));
    pool.call<void(int, int*)>(kPlaceCpus)(place, numbers.data());
    CpuSet cpus;
    for (const int cpu : numbers) {
      if (cpu >= 0 && cpu < static_cast<int>(CpuSet::kCapacity)) {
        cpus.add(static_cast<std::size_t>(cpu));
      }
    }
    found.all.push_back(cpus);
  }
  found.cpus = pool.call<int()>(kCpus)();
  return found;
}

// libgomp is always stripped. But its idle threads spin for 300000 turns unless the environment
// says otherwise, and beside that number stands the one for more threads than cores, 100 or 1000
// (libgomp/env.c). We respect a user's choice.
Result<SpinWord> spin_word(const Pool& pool) {
  constexpr std::uint64_t kTurns = 300000;
  constexpr std::uint64_t kBrief = 30000;
  const os::LiveMachine machine;
  const auto asked = machine.variable("GOMP_SPINCOUNT");
  if (machine.variable("OMP_WAIT_POLICY")) return SpinWord{};
  if (asked && !os::is_set_by_run(machine, "GOMP_SPINCOUNT", "COREWISE_SPINCOUNT")) {
    return SpinWord{};
  }
  const auto turns = asked ? parse_integer(*asked) : std::optional<std::int64_t>(kTurns);
  if (!turns) return SpinWord{};
  const auto word =
      word_by_value(pool, static_cast<std::uint64_t>(*turns),
                    [](std::uint64_t throttled) { return throttled == 100 || throttled == 1000; });
  if (word) return SpinWord{word->at, 8, kBrief, 0, word->companion};
  return Error{CW_NOT_AVAILABLE, "the threads of " + pool.path +
                                     " spin while they wait, whoever wants the CPUs: its spin "
                                     "count was not found; start the program with "
                                     "GOMP_SPINCOUNT=30000, or with 0 where it shares its CPUs"};
}

// Its constructor has read the variables: asking changes nothing.
void describe(Pool& pool) {
  openmp::describe(pool);
  openmp::ask(pool);
}

}  // namespace

const Runtime kLibgomp = {
    .name = "libgomp",
    .api = CW_API_OPENMP,
    .prefixes = kPrefixes,
    .environment = openmp::kEnvironment,
    .prove = prove,
    .describe = describe,
    .gate = GateKind::kLibgomp,
    .get = openmp::get,
    .set = openmp::set,
    .read_outside = openmp::read_outside,
    .places = places,
    .spin_word = spin_word,
};

}  // namespace corewise
