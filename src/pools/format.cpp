#include "format.h"

#include "discover.h"

namespace corewise {

const char* scope_name(Scope scope) {
  switch (scope) {
    case CW_SCOPE_PROCESS:
      return "process";
    case CW_SCOPE_THREAD:
      return "thread";
    case CW_SCOPE_NONE:
      break;
  }
  return "none";
}

void write_pool(Json& json, const Pool& pool, int threads) {
  const auto text_or_null = [&](const char* key, const std::string& text) {
    json.key(key);
    text.empty() ? json.null() : json.value(text);
  };
  const auto count_or_null = [&](const char* key, int count) {
    json.key(key);
    count > 0 ? json.value(count) : json.null();
  };
  json.field("id", static_cast<int>(pool.id));
  json.field("api", kApiNames[static_cast<std::size_t>(pool.runtime->api)]);
  json.field("runtime", pool.runtime->name);
  count_or_null("threads", threads);
  json.field("scope", scope_name(pool.scope));
  count_or_null("ceiling", pool.ceiling);
  count_or_null("caller_slots", pool.caller_slots);
  json.field("prefix", pool.prefix);
  json.field("path", pool.path);
  text_or_null("version", pool.version);
  text_or_null("layer", pool.layer);
  text_or_null("architecture", pool.architecture);
  text_or_null("detail", pool.shown_detail());
}

std::string info_json() {
  Json json;
  json.open('{').field("schema_version", 1).key("pools").open('[');
  for (std::size_t id = 0; id < pool_count(); ++id) {
    const Pool& pool = pool_at(id);
    json.open('{');
    write_pool(json, pool, pool.threads().value_or(0));
    json.close('}');
  }
  json.close(']').close('}');
  return json.text();
}

}  // namespace corewise
