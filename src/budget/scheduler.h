// What a workload manager's variables say about one node, as parsers of their text.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace corewise {

// Slurm's counts per node, "2(x3),1": two on each of the first three nodes, one on the fourth.
// The count of node number `node`; the largest when the node is not known.
std::optional<int> parse_slurm_counts(std::string_view text, std::optional<std::size_t> node);

// LSF's hosts with their slots, "alpha 4 beta 8": the slots of `host`, by full or short name.
std::optional<int> parse_lsf_hosts(std::string_view text, std::string_view host);

}  // namespace corewise
