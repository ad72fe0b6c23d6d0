// The `corewise` command of a Python environment: hands over to the command line tool in the
// package. A script would not do. Python ignores SIGPIPE and SIGXFSZ, may set LC_CTYPE, and does
// not start where files or PYTHON's variables are out of order; a shell drops the functions that
// bash exports. Whatever `corewise run` starts would inherit that.
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define ROOM 4096

// The folder of this file, whatever links lead to it. Empty: not known, and nothing is found there.
static void find_own_folder(char* folder) {
  const char* name = (const char*)getauxval(AT_EXECFN);  // without /proc: as it was started
  char* found = realpath("/proc/self/exe", NULL);
  if (found == NULL && name != NULL) found = realpath(name, NULL);
  folder[0] = '\0';
  if (found == NULL) return;
  char* end = strrchr(found, '/');
  if (end != NULL && (size_t)(end - found) < ROOM) {
    memcpy(folder, found, (size_t)(end - found));
    folder[end - found] = '\0';
  }
  free(found);
}

// Where pip puts a package beside its commands: in an environment, for a user, as Debian does, with
// --target.
static void find_tool(const char* folder, char* tool) {
  static const char* const kPlaces[] = {"%s/../lib*/python3*/*-packages/corewise/bin/corewise",
                                        "%s/../corewise/bin/corewise"};
  tool[0] = '\0';
  for (size_t i = 0; i < sizeof kPlaces / sizeof *kPlaces && tool[0] == '\0'; ++i) {
    char pattern[ROOM + 80];
    glob_t found;
    snprintf(pattern, sizeof pattern, kPlaces[i], folder);
    if (glob(pattern, 0, NULL, &found) != 0) continue;
    snprintf(tool, ROOM + 80, "%s", found.gl_pathv[0]);
    globfree(&found);
  }
}

int main(int count, char** words) {
  char folder[ROOM];
  char python[ROOM + 80];
  char tool[ROOM + 80];
  find_own_folder(folder);
  snprintf(python, sizeof python, "%s/python3", folder);
  if (access(python, X_OK) != 0) snprintf(python, sizeof python, "python3");
  // Python answers for its package.
  const int of_package =
      count == 2 && (strcmp(words[1], "--prefix") == 0 || strcmp(words[1], "--cmake-dir") == 0);
  find_tool(folder, tool);
  if (!of_package && tool[0] != '\0') {
    if (strchr(python, '/') != NULL) setenv("COREWISE_PYTHON", python, 0);
    words[0] = tool;
    execv(tool, words);
  } else {
    char** all = calloc((size_t)count + 3, sizeof *all);
    if (all != NULL) {
      all[0] = python;
      all[1] = "-m";
      all[2] = "corewise";
      for (int i = 1; i < count; ++i) all[i + 2] = words[i];
      execvp(python, all);
    }
  }
  fprintf(stderr,
          "corewise: error: the command line tool cannot be started: %s\n"
          "hint: install corewise again: pip install --force-reinstall . in its checkout\n",
          strerror(errno));
  return 127;
}
