// Facts of a model, counted: for people, and to tell before from after.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/ir/model.h"

namespace dwindle {

struct Facts {
  int64_t nodes = 0;                             // nested graphs included, functions not
  std::map<std::string, int64_t> ops;            // "Conv", "com.microsoft.Gelu": how often
  int64_t parameters = 0;                        // elements of all constants
  std::map<std::string, uint64_t> weight_bytes;  // by dtype, packed
  // Multiply-accumulates of one run of the main graph with every open extent 1; none where a shape
  // that they depend on is not known.
  std::optional<int64_t> macs;
  bool quantized = false;  // whether it has quantized ops
};

Facts count_facts(const Model& model);

}  // namespace dwindle
