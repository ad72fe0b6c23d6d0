// Pools as JSON, for programs.
#pragma once

#include <string>

#include "base/json.h"
#include "pool.h"

namespace corewise {

// Writes the keys of one pool (docs/json.md) into an open object. threads below 1: not known.
void write_pool(Json& json, const Pool& pool, int threads);

// {"schema_version": 1, "pools": [...]}
std::string info_json();

const char* scope_name(Scope scope);

}  // namespace corewise
