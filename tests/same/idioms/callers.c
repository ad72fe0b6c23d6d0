/* Threads of the program's own that call regions at the same time, each with its own count. */
#include <pthread.h>

#include "idiom.h"

static void* call(void* data) {
  int* team = data;
  int sum = 0;
  omp_set_num_threads(*team);
  for (int i = 0; i < 20; i++) {
#pragma omp parallel reduction(+ : sum)
    sum += omp_get_thread_num() + 1;
  }
  *team = sum;
  return NULL;
}

void idiom(void) {
  int team[] = {2, 3, 4};
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, call, &team[i]);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  printf("%d %d %d\n", team[0], team[1], team[2]);
}
