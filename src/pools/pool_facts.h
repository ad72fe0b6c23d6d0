// What is known of a pool: the one record that tables, plan, doctor and all JSON of pools share.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/json_reader.h"
#include "pool.h"

namespace corewise {

// Of a pool of this process or another; the source may not tell everything. 0 and "": not known.
struct PoolFacts {
  // The keys of a pool in JSON (docs/json.md).
  std::uint32_t id = 0;
  Api api = CW_API_BLAS;
  std::string runtime;
  int threads = 0;
  Scope scope = CW_SCOPE_PROCESS;
  int ceiling = 0;       // most threads it can be set to
  int caller_slots = 0;  // calls in flight it can hold
  std::string prefix;
  std::string path;
  std::string version;
  std::string layer;
  std::string architecture;
  std::string detail;

  // What only some of our own code asks for, and JSON does not tell.
  bool mkl_dynamic = false;
  bool governed = false;  // we grant its regions and calls; OpenBLAS uses our buffers
  bool dynamic = false;   // OpenMP may make the teams of the calling thread smaller (dyn-var)
  int limit = 0;          // set from outside, over the control socket; 0: none
  int spinning = 0;  // workers that ran though nobody was in a region or call; 0 also if not known
};

// threads below 1: not known.
PoolFacts facts_of(const Pool& pool, int threads);

// Into an open object, and back from one.
void write_pool(Json& json, const PoolFacts& pool);
PoolFacts read_pool(const JsonValue& object);

// {"schema_version": 1, "pools": [...]}
std::string info_json();

const char* scope_name(Scope scope);

}  // namespace corewise
