/* A new thread for each call: its teams are those of the environment. */
#include <pthread.h>

#include "idiom.h"

static void* call(void* data) {
  int sum = 0;
#pragma omp parallel reduction(+ : sum)
  sum += omp_get_thread_num() + 1;
  *(int*)data += sum;
  return NULL;
}

void idiom(void) {
  int sum = 0;
  for (int i = 0; i < 10; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, call, &sum);
    pthread_join(thread, NULL);
  }
  printf("sum %d\n", sum);
}
