#include "timeline.h"

#include <embedded/timeline.css.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "recorded_cause.h"
#include "thread_kind.h"
#include "timeline_svg.h"

namespace corewise::cli {
namespace {

// Adds them in order of name, the program's own threads first and unknown ones last.
void add_pools(const Recording& recording, std::vector<std::string>& pools) {
  for (const LaneGroup& group : recording.groups) {
    for (const auto& [tid, lane] : group.lanes) {
      if (lane.busy_s > 0 && std::ranges::find(pools, lane.pool) == pools.end()) {
        pools.push_back(lane.pool);
      }
    }
  }
  std::ranges::sort(pools, {}, [](const std::string& name) {
    return std::pair(name.empty() ? 2 : name == "program" ? 0 : 1, name);
  });
}

// "program", "BLAS: openblas"
std::string name_in_key(const std::string& pool) {
  std::string name = shown_in_html(pool, 40);
  switch (kind_of(pool)) {
    case ThreadKind::blas:
      return "BLAS: " + name;
    case ThreadKind::openmp:
      return "OpenMP: " + name;
    default:
      return name;
  }
}

std::string key_of(const std::vector<std::string>& pools) {
  std::string out;
  for (const std::string& pool : pools) {
    const std::string name = pool.empty() ? "unknown" : name_in_key(pool);
    out += fmt::format("<span><i style=\"background:var(--c{})\"></i>{}</span>",
                       static_cast<std::size_t>(kind_of(pool)), name);
  }
  return out +
         "<span><i class=\"stripes\"></i>striped: ready to run, but no CPU was free</span>"
         "<span><i style=\"background:var(--over)\"></i>more threads than CPUs</span>";
}

// A narrow window scrolls the drawing, so that its words stay readable.
std::string scrolled(const std::string& svg) {
  return fmt::format("<div class=\"wide\">{}</div>", svg);
}

std::string advice_in_html(const Recording& recording) {
  const auto [cause, cure] = cause_of(recording, true);
  std::string words = cause;
  if (!cure.empty()) {
    words += fmt::format("{}What to do: <code>{}</code>", cause.empty() ? "" : " ",
                         shown_in_html(cure, 200));
  }
  return words.empty() ? "" : fmt::format("<p>{}</p>", words);
}

// `body`: what stands below the command and the verdict.
std::string page_of(const Recording& recording, const std::string& verdict,
                    const std::string& advice, const std::vector<std::string>& pools,
                    const std::string& body) {
  return fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>corewise record: {0}</title><style>{1}</style>"
      "<h1>What ran when</h1><p><code>{0}</code></p><p><strong>{2}</strong></p>{3}<p "
      "class=\"d\">{4}, "
      "{5:.1f} s</p><p class=\"key\">{6}</p>{7}</html>\n",
      shown_in_html(recording.command, 200), kStyle, verdict, advice,
      shown_in_html(recording.time, 40), recording.seconds, key_of(pools), body);
}

}  // namespace

std::string timeline_html(const Recording& recording) {
  std::vector<std::string> pools;
  add_pools(recording, pools);
  return page_of(recording, verdict_of(recording), advice_in_html(recording), pools,
                 scrolled(timeline_svg(recording, recording.seconds, 0)));
}

std::string comparison_in_words(const Recording& installed, const Recording& governed) {
  std::string text = fmt::format("Ungoverned it took {:.1f} s, governed {:.1f} s.",
                                 installed.seconds, governed.seconds);
  const double others = std::max(installed.others, governed.others);
  if (others >= kOthersCount) {
    text += fmt::format(
        " Other programs kept {:.1f} threads ready meanwhile: compare the times only on a quiet "
        "machine.",
        others);
  }
  return text;
}

std::string comparison_html(const Recording& installed, const Recording& governed) {
  std::vector<std::string> pools;
  add_pools(installed, pools);
  add_pools(governed, pools);
  const double seconds = std::max(installed.seconds, governed.seconds);
  std::string body;
  int id = 0;
  for (const Recording* one : {&installed, &governed}) {
    body += fmt::format("<h2>{}: {:.1f} s</h2><p>{}</p>{}{}", id == 0 ? "Ungoverned" : "Governed",
                        one->seconds, verdict_of(*one), advice_in_html(*one),
                        scrolled(timeline_svg(*one, seconds, id)));
    ++id;
  }
  return page_of(installed, comparison_in_words(installed, governed), "", pools, body);
}

}  // namespace corewise::cli
