// Datasets from folders.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/data/open_dataset.h"

namespace dwindle {

// `files` is not empty and in order.
std::unique_ptr<Dataset> make_npz_feeds(std::vector<std::filesystem::path> files,
                                        const Model& model, const DatasetOptions& options);
std::unique_ptr<Dataset> make_image_feeds(std::vector<std::filesystem::path> files,
                                          const Model& model, const DatasetOptions& options);

}  // namespace dwindle
