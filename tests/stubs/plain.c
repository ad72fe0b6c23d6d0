/* No runtime at all: something to load and unload. */
int plain_answer(void) { return 42; }
