// Datasets from files and folders, and from arrays in memory.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace dwindle {

struct DatasetOptions {
  // Key that holds the classes (integers, one a sample); empty: none. For a folder of images any
  // text makes the integer at the start of each file name its class.
  std::string labels;
  // Samples in a feed where the model does not fix it.
  int64_t batch = 8;
  // For folders of images: pixels 0..255 are fed as (pixel - mean) / std, with one value or one a
  // channel; empty: 0 and 1.
  std::vector<float> mean, std;
  // "nchw" or "nhwc"; empty: told from the model's fixed channel extent (1, 3 or 4).
  std::string layout;
};

// Opens what `path` is:
// - `.npz`: a key an input, samples along the first axis; entries are streamed, so that memory does
//   not grow with the number of samples;
// - `.npy`: the same for a model of one input;
// - a folder of `.npz`: each file is one feed as it is, in the order of their names;
// - a folder of images (JPEG, PNG, BMP, PNM), in the order of their names, never resized; file
//   names that all start with an integer give the classes, unless they merely count up.
// `model` is only read here. Raises IoError where it cannot be read, BadData where it does not fit
// the model's inputs or is empty, BadOption for options that do not apply.
//
// Arrays of an input's rank are cut into batches along their first axis: batches of the model's
// extent where it is fixed (a ragged last one is filled by repeating its samples), otherwise of
// `options.batch` (a ragged last one is smaller). In arrays of one rank more, each entry along the
// first axis is a whole feed. float32 is rounded for an input of bfloat16, for which numpy's files
// have no type. A one-dimensional integer array that is no input is taken for classes and passed
// over; any other key that is no input is an error.
std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& path, const Model& model,
                                      const DatasetOptions& options = {});

// The same of arrays in memory, by key, which are not copied.
std::unique_ptr<Dataset> dataset_from_arrays(const std::map<std::string, Tensor>& arrays,
                                             const Model& model,
                                             const DatasetOptions& options = {});

// Feeds that are all there already.
std::unique_ptr<Dataset> dataset_from_feeds(std::vector<Feed> feeds);

}  // namespace dwindle
