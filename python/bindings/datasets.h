// Calibration and evaluation data from Python objects.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "core/data/open_dataset.h"

namespace dwindle {

// `data` as a Dataset for `model`:
// - a path (str or os.PathLike): see open_dataset;
// - a dict of arrays: samples along the first axis, as in an .npz;
// - a bare array: the same for a model of one input;
// - an object with get_next(), which gives a dict a feed and None at the end; rewind() is used
//   where it has one;
// - an iterable of dicts, each one feed as it is; or of arrays for a model of one input. A plain
//   iterator cannot be rewound.
// Raises TypeError for anything else. The result must be destroyed under the GIL.
std::unique_ptr<Dataset> to_dataset(pybind11::object data, const Model& model,
                                    const DatasetOptions& options);

}  // namespace dwindle
