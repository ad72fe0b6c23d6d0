// Exceptions that leave signal handlers: what it prints with and without the death watch must be
// the same.
#include <signal.h>
#include <stdio.h>

#include <stdexcept>
#include <string>

namespace {

struct Cleanup {
  ~Cleanup() { puts("cleaned up"); }
};

void throws(int signal) { throw std::runtime_error(std::to_string(signal)); }

[[gnu::noinline]] int read(const volatile int* at) { return *at; }

// Called through a pointer: the compiler believes that raise() itself never throws.
int (*const volatile raise_it)(int) = raise;

}  // namespace

int main() {
  for (const int number : {SIGSEGV, SIGABRT}) {
    struct sigaction action{};
    action.sa_handler = throws;
    action.sa_flags = SA_NODEFER;
    sigaction(number, &action, nullptr);
  }
  for (int i = 0; i < 3; ++i) {
    try {
      const Cleanup cleanup;
      i % 2 == 0 ? read(nullptr) : raise_it(SIGABRT);
      puts("goes on");
    } catch (const std::exception& error) {
      puts(error.what());
    }
  }
}
