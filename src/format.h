// Pools as JSON, for programs.
#pragma once

#include <string>

#include "json.h"
#include "pool.h"

namespace corewise {

// One pool with its count as the calling thread sees it. Keys in docs/json.md.
void write_pool(Json& json, const Pool& pool);

// {"schema_version": 1, "pools": [...]}
std::string info_json();

const char* scope_name(Scope scope);

}  // namespace corewise
