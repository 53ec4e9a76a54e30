// Arrays of many samples, cut into feeds.
#pragma once

#include <memory>
#include <string>

#include "core/data/array_stream.h"
#include "core/data/open_dataset.h"

namespace dwindle {

// See open_dataset for the rules. `source` names the data in messages.
std::unique_ptr<Dataset> make_batches(ArrayStreams streams, const Model& model,
                                      const DatasetOptions& options, std::string source);

// Raises BadOption where options are set that only apply to images.
void refuse_image_options(const DatasetOptions& options, const std::string& source);

}  // namespace dwindle
