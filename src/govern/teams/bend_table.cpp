// tests/same proves each row: it runs the real library in teams of 1, 2, 3, 5 and 8 under every
// grant from 1 to the team and under random ones. tests/same/test_bend_table.py reads the rows from
// here, and docs/govern.md shows them.
#include "bend_table.h"

#include <array>

namespace corewise::govern {
namespace {

// The regions below have the same source in all patch versions of a minor one; the last of each was
// tried. Modules with regions that are not listed here stay whole:
//  - metrics._pairwise_distances_reduction._*: wrong neighbours: they count on the team asked for
//  - manifold._barnes_hut_tsne: not proven; two runs gave the same maps, but the divergence of one
//    differed by 37 rounding errors of a float
//  - utils.arrayfuncs: its one sum, to rounding, would cost gradient boosting "to the bit"
constexpr std::array<std::string_view, 11> kSklearnVersions = {
    "1.5.0", "1.5.1", "1.5.2", "1.6.0", "1.6.1", "1.7.0",
    "1.7.1", "1.7.2", "1.8.0", "1.9.0", "1.9.1",
};

// The constant is the name that a traceback gives to a function of the module's own: modules that
// import from it hold only its name.
constexpr BendRow sklearn(std::string_view module, std::string_view symbol,
                          std::string_view constant, Same same) {
  return {"scikit-learn", module, symbol, constant, "scikit_learn", kSklearnVersions, same};
}

// geometry._geometry stays whole: the surface of a frame adds to that of the frame before it in the
// same thread. neighborlist was not tried.
constexpr std::array<std::string_view, 1> kMdtrajVersions = {"1.11.1.post2"};

constexpr BendRow mdtraj(std::string_view module, std::string_view symbol,
                         std::string_view constant, Same same) {
  return {"mdtraj", module, symbol, constant, "mdtraj", kMdtrajVersions, same};
}

constexpr std::array kRows = {
    sklearn("sklearn.cluster._k_means_common", "PyInit__k_means_common",
            "sklearn.cluster._k_means_common._euclidean_dense_dense_wrapper", Same::kToRounding),
    sklearn("sklearn.cluster._k_means_lloyd", "PyInit__k_means_lloyd",
            "sklearn.cluster._k_means_lloyd.lloyd_iter_chunked_dense", Same::kToRounding),
    sklearn("sklearn.cluster._k_means_elkan", "PyInit__k_means_elkan",
            "sklearn.cluster._k_means_elkan.elkan_iter_chunked_dense", Same::kToRounding),
    sklearn("sklearn.cluster._k_means_minibatch", "PyInit__k_means_minibatch",
            "sklearn.cluster._k_means_minibatch._minibatch_update_dense", Same::kToTheBit),
    sklearn("sklearn.ensemble._hist_gradient_boosting._binning", "PyInit__binning",
            "sklearn.ensemble._hist_gradient_boosting._binning._map_to_bins", Same::kToTheBit),
    sklearn("sklearn.ensemble._hist_gradient_boosting._gradient_boosting",
            "PyInit__gradient_boosting",
            "sklearn.ensemble._hist_gradient_boosting._gradient_boosting._update_raw_predictions",
            Same::kToTheBit),
    sklearn("sklearn.ensemble._hist_gradient_boosting._predictor", "PyInit__predictor",
            "sklearn.ensemble._hist_gradient_boosting._predictor._predict_from_binned_data",
            Same::kToTheBit),
    sklearn("sklearn.ensemble._hist_gradient_boosting.histogram", "PyInit_histogram",
            "sklearn.ensemble._hist_gradient_boosting.histogram.HistogramBuilder.__init__",
            Same::kToTheBit),
    sklearn("sklearn.ensemble._hist_gradient_boosting.splitting", "PyInit_splitting",
            "sklearn.ensemble._hist_gradient_boosting.splitting.Splitter.__init__",
            Same::kToTheBit),
    sklearn("sklearn._loss._loss", "PyInit__loss", "_loss.CyHalfTweedieLossIdentity.__init__",
            Same::kToTheBit),
    sklearn("sklearn.metrics._pairwise_fast", "PyInit__pairwise_fast",
            "sklearn.metrics._pairwise_fast._sparse_manhattan", Same::kToTheBit),
    mdtraj("mdtraj._rmsd", "PyInit__rmsd", "mdtraj._rmsd.getMultipleRMSDs_axis_major",
           Same::kToTheBit),
    mdtraj("mdtraj.geometry.drid", "PyInit_drid", "mdtraj.geometry.drid.compute_drid",
           Same::kToTheBit),
};

}  // namespace

std::span<const BendRow> bend_table() { return kRows; }

}  // namespace corewise::govern
