/* A thread pool that nobody has heard of. */
static int threads = 5;
int custom_get_num_threads(void) { return threads; }
void custom_set_num_threads(int n) { threads = n; }
