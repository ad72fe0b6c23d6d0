/* Calls corewise while it is being loaded, with the loader's lock held. */
#include <corewise.h>

static size_t seen = 0;

__attribute__((constructor)) static void look(void) {
  const cw_rule rule = {CW_MATCH_ALL, 0, 0, 2};
  cw_limits* limits = 0;
  seen = cw_pool_count() + 1;
  if (cw_limits_open(&rule, 1, 0, &limits) == CW_OK) {
    cw_limits_close(limits, 0);
    cw_limits_free(limits);
  }
}

size_t stub_seen(void) { return seen; }
