/* The header alone, twice, as strict C11. */
#include <corewise.h>

cw_limits* header_is_c11(void);
cw_limits* header_is_c11(void) {
  const cw_rule rule = {CW_MATCH_ALL, 0, 0, 1};
  cw_limits_options options = {sizeof options, CW_LIMITS_CLAMP | CW_LIMITS_REPLACE, 0};
  cw_limits* limits = 0;
  (void)cw_limits_open(&rule, 1, &options, &limits);
  return limits;
}
