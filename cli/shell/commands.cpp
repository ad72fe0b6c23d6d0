#include "commands.h"

#include <array>

namespace corewise::cli {

std::span<const Command* const> commands() {
  static constexpr std::array<const Command*, 12> kTable = {
      &kInfo,   &kBudget, &kPlan,   &kDoctor, &kRun,        &kLimit,
      &kGovern, &kTop,    &kRecord, &kEnv,    &kCompletion, &kManual};
  return kTable;
}

}  // namespace corewise::cli
