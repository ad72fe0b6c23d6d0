// GNU libgomp. Wheels carry renamed copies; each copy is a pool of its own.
#include "openmp_icv.h"

namespace corewise {
namespace {

constexpr const char* kPrefixes[] = {"libgomp"};

bool prove(const SymbolLookup& symbols, Proof& proof) {
  return openmp::prove(symbols, proof) && symbols.address("GOMP_parallel") != 0 &&
         !openmp::is_llvm(symbols);
}

}  // namespace

const Runtime kLibgomp = {
    .name = "libgomp",
    .api = CW_API_OPENMP,
    .prefixes = kPrefixes,
    .environment = openmp::kEnvironment,
    .prove = prove,
    .describe = openmp::describe,
    .get = openmp::get,
    .set = openmp::set,
    .hold = nullptr,
    .release = nullptr,
    .look = openmp::look,
};

}  // namespace corewise
