// Dataset: a stream of feeds to calibrate or evaluate a model with.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ir/model.h"

namespace dwindle {

using TensorMap = std::map<std::string, Tensor>;

// One feed: tensors by input name. `samples` of its samples are real; a last batch that was filled
// up to a fixed batch extent has more, repeated ones behind them.
struct Feed {
  TensorMap inputs;
  std::optional<Tensor> labels;  // integers, one a real sample
  int64_t samples = 1;
  // Whether the dataset put separate samples together along the first axis of every input, so that
  // they may be taken apart again.
  bool divisible = false;
  // What it was read from (a file), and the place of its first sample there; for messages. Empty
  // where that is not known.
  std::string source = {};
  int64_t first_sample = 0;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  // The next feed, or none at the end. Raises BadData, IoError.
  virtual std::optional<Feed> next() = 0;
  // Back to the first feed. False where the source cannot go back (a plain iterator).
  virtual bool rewind() = 0;
  // How many samples there are, where known; 0 otherwise.
  virtual int64_t size() const = 0;
};

}  // namespace dwindle
