/* The program around an idiom that another compiler made into a library, opened late and bound only
   as it is called: two OpenMP runtimes in one process, whose functions have the same names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>

static void team(const char* when) {
  int size = 0;
#pragma omp parallel reduction(+ : size)
  ++size;
  printf("%s: a team of %d, at most %d\n", when, size, omp_get_max_threads());
}

int main(int argc, char** argv) {
  omp_set_num_threads(3);
  team("before");
  void* library = dlopen(LIBRARY, BINDING);
  if (library == NULL) {
    puts(dlerror());
    return 1;
  }
  int (*idiom_main)(int, char**) = (int (*)(int, char**))dlsym(library, "idiom_main");
  const int code = idiom_main(argc, argv);
  team("after");
  return code;
}
