#include "sample_record.h"

#include <string_view>

namespace corewise::observe {
namespace {

void write_sum(Json& json, const ThreadSum& sum) {
  json.field("running", sum.running).field("waiting", sum.threads - sum.running);
  json.field("cpu_s", sum.cpu_s).field("delay_s", sum.delay_s);
}

void write_sum(Json& json, const char* key, const ThreadSum& sum) {
  json.key(key).open('{').field("total", sum.threads);
  write_sum(json, sum);
  json.close('}');
}

ThreadSum read_sum(const JsonValue& from, const char* total) {
  return {from.count_at(total), from.count_at("running"), from.number_at("cpu_s"),
          from.number_at("delay_s")};
}

ThreadSum read_sum_at(const JsonValue& object, const char* key) {
  const JsonValue* sum = object.find(key);
  return sum != nullptr ? read_sum(*sum, "total") : ThreadSum();
}

void write(Json& json, const std::optional<Sample::OwnCpus>& budget) {
  json.key("budget");
  if (!budget) return void(json.null());
  json.open('{').field("cpus", budget->cpus).field("threads", budget->threads).close('}');
}

void write(Json& json, const std::optional<Sample::LedgerUse>& ledger) {
  json.key("ledger");
  if (!ledger) return void(json.null());
  json.open('{').field("budget", ledger->budget).field("granted", ledger->granted);
  json.field("own", ledger->own).field("processes", ledger->processes);
  json.field("key", ledger->key).close('}');
}

void write(Json& json, const std::optional<Sample::Throttling>& throttled) {
  json.key("throttled");
  if (!throttled) return void(json.null());
  json.open('{').field("periods", throttled->periods).field("throttled", throttled->throttled);
  json.field("seconds", throttled->seconds).close('}');
}

void write(Json& json, const SampledPool& pool) {
  json.open('{');
  write_pool(json, pool.facts);
  json.known("limit", pool.limit).known("limited", pool.limited).known("allowed", pool.allowed);
  json.field("workers", pool.workers.threads);
  write_sum(json, pool.workers);
  json.known("spinning", pool.spinning).close('}');
}

SampledPool read_sampled_pool(const JsonValue& from) {
  return {read_pool(from),
          from.known_count_at("limit"),
          from.known_count_at("limited"),
          from.known_count_at("allowed"),
          read_sum(from, "workers"),
          from.known_count_at("spinning")};
}

void write(Json& json, const SampledLibrary& library) {
  json.open('{').field("library", library.library).field("path", library.path);
  json.field("workers", library.workers.threads);
  write_sum(json, library.workers);
  json.close('}');
}

void write(Json& json, const SampledThread& thread) {
  json.open('{').field("tid", thread.tid).field("start", thread.start);
  json.field("state", std::string_view(&thread.state, 1)).known("pool", thread.pool);
  json.known("module", thread.module);
  json.field("cpu_s", thread.cpu_s).field("delay_s", thread.delay_s).close('}');
}

SampledThread read_thread(const JsonValue& from) {
  SampledThread thread;
  thread.tid = from.count_at("tid");
  thread.start = from.amount_at("start");
  const std::string state = from.text_at("state");
  if (!state.empty()) thread.state = state.front();
  thread.pool = from.known_count_at("pool");
  thread.module = from.text_at("module");
  thread.cpu_s = from.number_at("cpu_s");
  thread.delay_s = from.number_at("delay_s");
  return thread;
}

// The value of a key that holds an object; null if it is missing or null.
const JsonValue* object_at(const JsonValue& object, const char* key) {
  const JsonValue* value = object.find(key);
  return value != nullptr && value->kind == JsonValue::Kind::kObject ? value : nullptr;
}

}  // namespace

std::string to_json(const Sample& sample) {
  Json json;
  json.open('{').field("schema_version", 1).field("pid", sample.pid);
  json.field("time_s", sample.time_s).field("governed", sample.governed);
  write(json, sample.budget);
  write(json, sample.ledger);
  write(json, sample.throttled);
  write_sum(json, "threads", sample.all);
  json.key("pools").open('[');
  for (const SampledPool& pool : sample.pools) write(json, pool);
  json.close(']').key("libraries").open('[');
  for (const SampledLibrary& library : sample.libraries) write(json, library);
  json.close(']');
  write_sum(json, "program", sample.program);
  write_sum(json, "unknown", sample.unknown);
  if (sample.each) {
    json.key("each").open('[');
    for (const SampledThread& thread : *sample.each) write(json, thread);
    json.close(']');
  }
  return json.close('}').text();
}

Sample read_sample(const JsonValue& object) {
  Sample sample;
  sample.pid = object.count_at("pid");
  sample.time_s = object.number_at("time_s");
  sample.governed = object.truth_at("governed");
  if (const JsonValue* budget = object_at(object, "budget")) {
    sample.budget = {budget->number_at("cpus"), budget->count_at("threads")};
  }
  if (const JsonValue* ledger = object_at(object, "ledger")) {
    sample.ledger = {ledger->count_at("budget"), ledger->count_at("granted"),
                     ledger->count_at("own"), ledger->count_at("processes"),
                     ledger->text_at("key")};
  }
  if (const JsonValue* throttled = object_at(object, "throttled")) {
    sample.throttled = {static_cast<std::int64_t>(throttled->amount_at("periods")),
                        static_cast<std::int64_t>(throttled->amount_at("throttled")),
                        throttled->number_at("seconds")};
  }
  sample.all = read_sum_at(object, "threads");
  for (const JsonValue& pool : object.items_at("pools")) {
    sample.pools.push_back(read_sampled_pool(pool));
  }
  for (const JsonValue& from : object.items_at("libraries")) {
    sample.libraries.push_back(
        {from.text_at("library"), from.text_at("path"), read_sum(from, "workers")});
  }
  sample.program = read_sum_at(object, "program");
  sample.unknown = read_sum_at(object, "unknown");
  if (object.find("each") != nullptr) {
    sample.each.emplace();
    for (const JsonValue& thread : object.items_at("each")) {
      sample.each->push_back(read_thread(thread));
    }
  }
  return sample;
}

}  // namespace corewise::observe
