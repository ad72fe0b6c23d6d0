/* Another job of the group, which holds THREADS of the budget: hold THREADS UP DONE. It makes the
   file UP once it has them, and ends when the file DONE exists. */
#include <fcntl.h>
#include <omp.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
#pragma omp parallel num_threads(atoi(argv[1]))
  {
#pragma omp barrier
#pragma omp master
    close(open(argv[2], O_CREAT | O_WRONLY, 0600));
    while (access(argv[3], F_OK) != 0) usleep(2000);
  }
  return 0;
}
