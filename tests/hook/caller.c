/* Calls the runtime through a lazily bound GOT entry, and through one that holds an address. */
extern int stub_parallel(int, int);
extern int stub_short(void);

int caller_call(int a, int b) { return stub_parallel(a, b); }
void* caller_address(void) { return (void*)stub_parallel; }
int caller_short(void) { return stub_short(); }
