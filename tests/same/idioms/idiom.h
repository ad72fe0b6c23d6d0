/* The frame of every idiom: its file defines idiom(), which prints what the program computed. It
   runs twice, as a team that was right once may be another size the next time.
   tests/same/harness.py compiles each with gcc and clang, some as a library too, and runs them. */
#ifndef IDIOM_H
#define IDIOM_H

#include <fcntl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Volatile to the reader: other threads write it. */
#define READ(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define WRITE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_SEQ_CST)

void idiom(void);

/* Between two regions: the harness takes the budget away, or gives it back, while the program waits
   here. It waits once; without a harness it does not wait. */
static inline void middle(void) {
  static int passed;
  const char* folder = getenv("SAME_MIDDLE");
  char file[4096];
  if (folder == NULL || passed++) return;
  snprintf(file, sizeof file, "%s/reached", folder);
  close(open(file, O_CREAT | O_WRONLY, 0600));
  snprintf(file, sizeof file, "%s/go", folder);
  while (access(file, F_OK) != 0) usleep(2000);
}

/* A variable that the runtime reads as it loads, and so before main. */
#ifndef NEEDS
#define NEEDS ""
#endif

int main(int argc, char** argv) {
  const char* value = strchr(NEEDS, '=');
  if (argc == 1 && value != NULL) {
    char name[64] = {0};
    memcpy(name, NEEDS, value - NEEDS);
    setenv(name, value + 1, 1);
    execl("/proc/self/exe", argv[0], "again", (char*)NULL);
    return 127;
  }
  idiom();
  middle();
  idiom();
  return 0;
}
#endif
