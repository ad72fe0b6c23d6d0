/* Loads each library that it is given; says which the loader refuses, and why. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char** names) {
  int refused = 0;
  for (int i = 1; i < count; ++i) {
    if (dlopen(names[i], RTLD_NOW) != NULL) continue;
    ++refused;
    printf("%s\n", dlerror());
  }
  return refused != 0;
}
