/* A thread pool that corewise does not know. */
static int threads = 5;
int custom_get_num_threads(void) { return threads; }
void custom_set_num_threads(int n) { threads = n; }
