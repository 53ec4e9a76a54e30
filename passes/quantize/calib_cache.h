// Calibration kept in a file, for when the same model meets the same data again.
#pragma once

#include <filesystem>
#include <string>

#include "passes/quantize/calibrate.h"

namespace dwindle::passes {

struct CachedCalibration {
  Statistics statistics;
  std::string note;  // what came of the cache, one line
};

// What calibrate() finds, taken from the JSON file `path` where the XXH3 hash in it is that of the
// model, the placement, the data and the options; the data is then read but not run. Otherwise runs
// the data and writes the file, atomically. Raises BadData where the data cannot be read twice or
// where the file is there but is no cache, IoError, and what calibrate() raises.
CachedCalibration calibrate_cached(const std::filesystem::path& path, const Model& model,
                                   const Placement& placement, Dataset& data,
                                   const ObserverOptions& options, bool channel_means,
                                   Progress* progress, const MakeExecutor& executors);

}  // namespace dwindle::passes
