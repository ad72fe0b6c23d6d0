#include "top_verdict.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace corewise::cli {
namespace {

// Threads hand over to one another: half a thread more than there are CPUs is rounding.
constexpr double kTolerance = 0.5;
// Less than this share of its ready time without a CPU is not worth a word.
constexpr double kDelayedShare = 0.25;

std::string threads(double count) {
  const std::string number = count < 10
                                 ? format_cpus(static_cast<double>(std::lround(10 * count)) / 10)
                                 : fmt::format("{:.0f}", count);
  return fmt::format("{} thread{}", number, number == "1" ? "" : "s");
}

const char* are(const std::string& threads) { return threads.ends_with('s') ? "are" : "is"; }

}  // namespace

Verdict verdict_of(const View& view) {
  const double ready = view.ready();
  const double delayed = view.delayed();
  const double share = ready > 0 ? delayed / ready : 0;
  const std::string ours = threads(ready);
  const std::string budget = cpus_in_words(view.budget);
  if (view.processes.empty()) {
    return {
        Situation::no_process,
        "No process of yours can be watched. `top` shows programs that `corewise run` started, "
        "Pythons that imported corewise, and notebooks after `%load_ext corewise`; `corewise top "
        "--all` shows every program."};
  }
  if (ready > view.budget + kTolerance) {
    return {Situation::too_many,
            fmt::format("TOO MANY: {} {} ready to run, and you have {}.", ours, are(ours), budget)};
  }
  if (view.throttled_share >= 0.05) {
    return {Situation::quota_pauses,
            fmt::format("PAUSED: the CPU quota stops your threads for {:.0f} % of the time.",
                        100 * view.throttled_share)};
  }
  const bool waits = share >= kDelayedShare && delayed >= 0.2;
  if (waits && view.others_ready.value_or(0) >= 0.5) {
    const std::string others = threads(*view.others_ready);
    return {Situation::others_take,
            fmt::format("Others take the CPUs: they keep {} ready. Yours, {} for {}, wait {:.0f} % "
                        "of the time.",
                        others, ours, budget, 100 * share)};
  }
  if (waits) {
    return {Situation::bound_together,
            fmt::format("Your {} fit {}, yet wait {:.0f} % of the time: are they bound to the same "
                        "CPU?",
                        ours, budget, 100 * share)};
  }
  if (ready < 0.05) {
    return {Situation::idle,
            fmt::format("Idle: none of your threads wants one of your {}.", budget)};
  }
  return {Situation::fits,
          fmt::format("All fits: {} {} ready to run, and you have {}.", ours, are(ours), budget)};
}

std::string grants_in_words(const View& view) {
  if (view.ledger_budget == 0) return {};
  std::string text = fmt::format("granted {} of {}", view.granted, view.ledger_budget);
  if (view.ledgers > 1) text += fmt::format(", the sum of {} groups", view.ledgers);
  if (view.granted > view.ledger_budget) {
    text += " (each call gets at least 1, and most teams are never cut)";
  }
  return text;
}

}  // namespace corewise::cli
