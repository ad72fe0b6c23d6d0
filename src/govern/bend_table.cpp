// The proof of each row is tests/same/test_bend_table.py: the real library, teams of 1, 2, 3, 5 and
// 8 under every grant from 1 to the team, results equal to rounding.
#include "bend_table.h"

#include <array>

namespace corewise::govern {
namespace {

constexpr std::string_view kSklearn = "scikit-learn";

// Each extension module of scikit-learn has its own regions, so that each is proven for itself.
// Cython leaves the module's full name in the places that tracebacks name.
constexpr std::array kRows = {
    BendRow{kSklearn, "PyInit__k_means_common", "sklearn.cluster._k_means_common"},
    BendRow{kSklearn, "PyInit__k_means_lloyd", "sklearn.cluster._k_means_lloyd"},
    BendRow{kSklearn, "PyInit__k_means_elkan", "sklearn.cluster._k_means_elkan"},
    BendRow{kSklearn, "PyInit__k_means_minibatch", "sklearn.cluster._k_means_minibatch"},
    BendRow{kSklearn, "PyInit__binning", "sklearn.ensemble._hist_gradient_boosting._binning"},
    BendRow{kSklearn, "PyInit__gradient_boosting",
            "sklearn.ensemble._hist_gradient_boosting._gradient_boosting"},
    BendRow{kSklearn, "PyInit__predictor", "sklearn.ensemble._hist_gradient_boosting._predictor"},
    BendRow{kSklearn, "PyInit_histogram", "sklearn.ensemble._hist_gradient_boosting.histogram"},
    BendRow{kSklearn, "PyInit_splitting", "sklearn.ensemble._hist_gradient_boosting.splitting"},
    BendRow{kSklearn, "PyInit_utils", "sklearn.ensemble._hist_gradient_boosting.utils"},
    BendRow{kSklearn, "PyInit__loss", "sklearn._loss._loss"},
};

}  // namespace

std::span<const BendRow> bend_table() { return kRows; }

}  // namespace corewise::govern
