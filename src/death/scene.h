// What a death report says about the pools, put together while all is well: a signal handler can no
// longer look anything up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "folder.h"
#include "govern/patch/code_ranges.h"

namespace corewise::death {

struct ScenePool {
  std::string fields;  // of a JSON object, without braces
  govern::CodeRange code;
  // In the library's own memory, which stays loaded; null if it keeps no such number.
  const int* threads = nullptr;
  const int* ran_out = nullptr;
  const std::uint8_t* used = nullptr;  // its lowest bits are 0 until the library is first used
  // The library raises SIGTERM when it refuses to go on.
  bool raises_sigterm = false;
  // It calls exit() when it is out of memory.
  bool exits = false;
};

struct Scene {
  std::string program;
  // The path of the Jupyter notebook that started this process or a parent of it; empty: none did.
  std::string notebook;
  // The process that is the kernel of that notebook; 0: none. Forked children keep the number.
  int kernel = 0;
  std::vector<Folder> folders;
  std::vector<ScenePool> pools;
  // A handler may still read it; and a leak checker reports what nothing points to.
  const Scene* before = nullptr;
};

// The scene before, plus the pools discovered since. Lives for good.
const Scene* draw_scene(const Scene& before);

}  // namespace corewise::death
