// Starts a program in one of the ways that C has, and ends as it ended.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static int ended(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128; }

int main(int count, char** words) {
  if (count != 3) return 100;
  char* how = words[1];
  char* path = words[2];
  char* name = strrchr(path, '/') + 1;  // its folder is in PATH
  char* all[] = {name, "a", "b", NULL};
  pid_t child = 0;
  int status = 0;
  if (strcmp(how, "execve") == 0) execve(path, all, environ);
  if (strcmp(how, "execv") == 0) execv(path, all);
  if (strcmp(how, "execvp") == 0) execvp(name, all);
  if (strcmp(how, "execvpe") == 0) execvpe(name, all, environ);
  if (strcmp(how, "execl") == 0) execl(path, name, "a", "b", (char*)NULL);
  if (strcmp(how, "execlp") == 0) execlp(name, name, "a", "b", (char*)NULL);
  if (strcmp(how, "execle") == 0) execle(path, name, "a", "b", (char*)NULL, environ);
  if (strcmp(how, "fexecve") == 0) fexecve(open(path, O_RDONLY), all, environ);
  if (strcmp(how, "execveat") == 0) execveat(AT_FDCWD, path, all, environ, 0);
  if (strcmp(how, "execveat below") == 0) {
    const int folder = open("/", O_RDONLY);
    execveat(folder, path + 1, all, environ, 0);
  }
  if (strcmp(how, "execveat of a file") == 0) {
    execveat(open(path, O_RDONLY), "", all, environ, AT_EMPTY_PATH);
  }
  if (strcmp(how, "execveat of nothing") == 0) {
    return syscall(SYS_execveat, -1, NULL, NULL, NULL, 0) == -1 && errno == EFAULT ? 5 : 104;
  }
  if (strcmp(how, "syscall execve") == 0) syscall(SYS_execve, path, all, environ);
  if (strcmp(how, "syscall execveat") == 0) syscall(SYS_execveat, AT_FDCWD, path, all, environ, 0);
  if (strncmp(how, "dlsym", 5) == 0) {
    void* where = how[5] == ' ' ? dlopen("libc.so.6", RTLD_NOW) : RTLD_NEXT;
    int (*found)(const char*, char* const*, char* const*) = dlsym(where, "execve");
    found(path, all, environ);
  }
  if (strcmp(how, "vfork") == 0) {
    child = vfork();
    if (child == 0) {
      execve(path, all, environ);
      _exit(101);
    }
    waitpid(child, &status, 0);
    return ended(status);
  }
  if (strcmp(how, "posix_spawn") == 0 || strcmp(how, "posix_spawnp") == 0) {
    const int failed = how[11] == 'p' ? posix_spawnp(&child, name, NULL, NULL, all, environ)
                                      : posix_spawn(&child, path, NULL, NULL, all, environ);
    if (failed) return 102;
    waitpid(child, &status, 0);
    return ended(status);
  }
  if (strncmp(how, "spawn ", 6) == 0) {
    // From a folder that only the child goes to.
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    char* folder = strndup(path, name - 1 - path);
    char relative[4096];
    snprintf(relative, sizeof relative, "./%s", name);
    if (strcmp(how + 6, "below folders") == 0) {
      posix_spawn_file_actions_addchdir_np(&actions, "/usr");
      posix_spawn_file_actions_addchdir_np(&actions, "/");
      posix_spawn_file_actions_addchdir_np(&actions, folder + 1);
      posix_spawn_file_actions_adddup2(&actions, 1, 1);
    } else if (strcmp(how + 6, "below a descriptor") == 0) {
      posix_spawn_file_actions_addfchdir_np(&actions, open("/", O_RDONLY));
      posix_spawn_file_actions_addchdir_np(&actions, folder + 1);
    } else if (strcmp(how + 6, "below a new descriptor") == 0) {
      posix_spawn_file_actions_addopen(&actions, 9, folder, O_RDONLY, 0);
      posix_spawn_file_actions_addfchdir_np(&actions, 9);
    } else {
      posix_spawn_file_actions_addchdir_np(&actions, folder);
      setenv("PATH", "no-such-folder:.:/bin", 1);
    }
    chdir("/");
    const int failed = strcmp(how + 6, "in PATH") == 0
                           ? posix_spawnp(&child, name, &actions, NULL, all, environ)
                           : posix_spawn(&child, relative, &actions, NULL, all, environ);
    if (failed) return 102;
    waitpid(child, &status, 0);
    return ended(status);
  }
  if (strcmp(how, "system") == 0) {
    char line[4096];
    snprintf(line, sizeof line, "%s a b; exit $?", path);
    return ended(system(line));
  }
  if (strcmp(how, "popen") == 0) {
    char line[4096];
    snprintf(line, sizeof line, "%s a b; exit $?", path);
    FILE* pipe = popen(line, "r");
    while (fgets(line, sizeof line, pipe) != NULL) fputs(line, stdout);
    return ended(pclose(pipe));
  }
  return 103;
}
