/* Lists the thread pools of a process, and limits them for a moment: the C ABI in a few lines. */
#include <cblas.h>
#include <corewise.h>
#include <stdio.h>

int main(void) {
  const double x[] = {1.0, 2.0};
  const cw_rule rule = {CW_MATCH_NAME, "blas", 0, 1};
  cw_limits* limits = NULL;
  if (cw_limits_open(&rule, 1, NULL, &limits) != CW_OK) {
    fprintf(stderr, "%s\n", cw_last_error());
    return 1;
  }
  for (uint32_t id = 0; id < cw_pool_count(); ++id) {
    cw_pool pool = {.size = sizeof pool};
    if (cw_pool_get(id, &pool) == CW_OK) {
      printf("%s %s: %d\n", pool.api_name, pool.prefix, (int)pool.threads);
    }
  }
  printf("%g\n", cblas_ddot(2, x, 1, x, 1));
  cw_limits_close(limits, NULL);
  cw_limits_free(limits);
  return 0;
}
