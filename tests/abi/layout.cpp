// The structs and values of the C ABI as they were frozen (corewise.ref): compiling it is the
// check.
// clang-format off
#include <corewise.h>

#include <cstddef>

static_assert(sizeof(cw_pool) == 96);
static_assert(offsetof(cw_pool, size) == 0);
static_assert(offsetof(cw_pool, id) == 8);
static_assert(offsetof(cw_pool, api) == 12);
static_assert(offsetof(cw_pool, scope) == 16);
static_assert(offsetof(cw_pool, threads) == 20);
static_assert(offsetof(cw_pool, ceiling) == 24);
static_assert(offsetof(cw_pool, caller_slots) == 28);
static_assert(offsetof(cw_pool, api_name) == 32);
static_assert(offsetof(cw_pool, runtime) == 40);
static_assert(offsetof(cw_pool, prefix) == 48);
static_assert(offsetof(cw_pool, path) == 56);
static_assert(offsetof(cw_pool, version) == 64);
static_assert(offsetof(cw_pool, layer) == 72);
static_assert(offsetof(cw_pool, architecture) == 80);
static_assert(offsetof(cw_pool, detail) == 88);
static_assert(sizeof(cw_rule) == 24);
static_assert(offsetof(cw_rule, match) == 0);
static_assert(offsetof(cw_rule, name) == 8);
static_assert(offsetof(cw_rule, id) == 16);
static_assert(offsetof(cw_rule, threads) == 20);
static_assert(sizeof(cw_limits_options) == 24);
static_assert(offsetof(cw_limits_options, size) == 0);
static_assert(offsetof(cw_limits_options, flags) == 8);
static_assert(offsetof(cw_limits_options, owner) == 16);
static_assert(sizeof(cw_outcome) == 32);
static_assert(offsetof(cw_outcome, size) == 0);
static_assert(offsetof(cw_outcome, pool) == 8);
static_assert(offsetof(cw_outcome, before) == 12);
static_assert(offsetof(cw_outcome, asked) == 16);
static_assert(offsetof(cw_outcome, effective) == 20);
static_assert(offsetof(cw_outcome, reason) == 24);
static_assert(sizeof(cw_govern_options) == 24);
static_assert(offsetof(cw_govern_options, size) == 0);
static_assert(offsetof(cw_govern_options, budget) == 8);
static_assert(offsetof(cw_govern_options, flags) == 12);
static_assert(offsetof(cw_govern_options, group) == 16);
static_assert(CW_OK == 0);
static_assert(CW_BAD_ARGUMENT == 1);
static_assert(CW_BAD_COUNT == 2);
static_assert(CW_ABOVE_CEILING == 3);
static_assert(CW_UNKNOWN_NAME == 4);
static_assert(CW_NO_SUCH_PROCESS == 5);
static_assert(CW_NOT_PERMITTED == 6);
static_assert(CW_PROCESS_ENDED == 7);
static_assert(CW_BAD_ELF == 8);
static_assert(CW_IO_ERROR == 9);
static_assert(CW_LIBRARY_LIED == 10);
static_assert(CW_NOT_AVAILABLE == 11);
static_assert(CW_OUT_OF_MEMORY == 12);
static_assert(CW_INTERNAL == 13);
static_assert(CW_API_OPENMP == 0);
static_assert(CW_API_BLAS == 1);
static_assert(CW_API_TBB == 2);
static_assert(CW_API_ARROW == 3);
static_assert(CW_API_NUMBA == 4);
static_assert(CW_SCOPE_PROCESS == 0);
static_assert(CW_SCOPE_THREAD == 1);
static_assert(CW_SCOPE_NONE == 2);
static_assert(CW_MATCH_ALL == 0);
static_assert(CW_MATCH_API == 1);
static_assert(CW_MATCH_RUNTIME == 2);
static_assert(CW_MATCH_PREFIX == 3);
static_assert(CW_MATCH_PATH == 4);
static_assert(CW_MATCH_NAME == 5);
static_assert(CW_MATCH_ID == 6);
static_assert(CW_LIMITS_CLAMP == 1);
static_assert(CW_LIMITS_REPLACE == 2);
static_assert(CW_LIMITS_NOT_STICKY == 4);
static_assert(CW_GOVERN_OVERCOMMIT == 1);
static_assert(CW_ABI_VERSION == 1);
static_assert(CW_MAX_THREADS == 32768);
