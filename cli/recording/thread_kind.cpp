#include "thread_kind.h"

#include "pools/pool.h"

namespace corewise::cli {

ThreadKind kind_of(std::string_view pool) {
  if (pool.empty()) return ThreadKind::unknown;
  if (pool == "program") return ThreadKind::program;
  for (const Runtime* runtime : runtimes()) {
    if (pool != runtime->name) continue;
    const std::string_view api = api_name(runtime->api);
    if (api == "blas") return ThreadKind::blas;
    if (api == "openmp") return ThreadKind::openmp;
  }
  return ThreadKind::other_pool;
}

}  // namespace corewise::cli
