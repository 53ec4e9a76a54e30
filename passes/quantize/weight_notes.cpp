#include "passes/quantize/weight_notes.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/support/list_names.h"
#include "passes/node_names.h"

namespace dwindle::passes {
namespace {

// "2 layers ('a', 'b')".
std::string layers(const std::vector<std::string>& names) {
  return fmt::format("{} layer{} ({})", names.size(), names.size() == 1 ? "" : "s",
                     list_names(names));
}

std::string dtype_of(DType dtype) { return std::string(dtype_name(dtype)); }

}  // namespace

void WeightNotes::add(const WeightSite& site, const Dims& shape, const WeightFormat& format) {
  ++layers_;
  const std::string name = handle(*site.node);
  if (keeps_bytes(*site.node)) {
    if (options_.dtype != DType::kInt8 || options_.block_size != 0) sliced_.push_back(name);
    return;
  }
  if (format.dtype != options_.dtype) {
    (format.dtype == DType::kInt8 ? wider_ : in_fours_).push_back(name);
  }
  if (options_.block_size == 0) return;
  if (format.block_size == 0) {
    unblocked_.push_back(name);
    return;
  }
  const int64_t extent = shape[static_cast<size_t>(format.axis)];
  if (extent < options_.block_size) {
    larger_.push_back(name);
  } else if (extent % options_.block_size != 0) {
    ragged_.push_back(name);
  }
}

std::vector<std::string> WeightNotes::lines() const {
  std::vector<std::string> lines;
  if (!wider_.empty()) {
    lines.push_back(
        fmt::format("the weights of {} are int8, not {}: fewer than 8 of them lie along a row or a "
                    "sum, which is where their blocks would lie",
                    layers(wider_), dtype_of(options_.dtype)));
  }
  if (!sliced_.empty()) {
    lines.push_back(fmt::format(
        "the table of {} is int8 with a scale for each row: narrower integers cannot be "
        "sliced",
        layers(sliced_)));
  }
  if (!in_fours_.empty()) {
    lines.push_back(
        fmt::format("the weights of {} are int4, not {}: ONNX Runtime misreads products of 2-bit "
                    "weights whose columns are no multiple of 4",
                    layers(in_fours_), dtype_of(options_.dtype)));
  }
  const auto every = [&](const std::vector<std::string>& names) {
    return static_cast<int64_t>(names.size()) == layers_;
  };
  if (!larger_.empty()) {
    lines.push_back(
        every(larger_)
            ? fmt::format("block-size {} exceeds every axis: one scale a channel",
                          options_.block_size)
            : fmt::format("block-size {} exceeds the axis of {}: one scale a channel there",
                          options_.block_size, layers(larger_)));
  }
  if (!ragged_.empty()) {
    lines.push_back(
        fmt::format("block-size {} does not divide the axis of {}: the last block is "
                    "ragged",
                    options_.block_size, layers(ragged_)));
  }
  if (!unblocked_.empty()) {
    lines.push_back(fmt::format("{} {} no blocks: fewer than 8 weights lie along a row or a sum",
                                layers(unblocked_), unblocked_.size() == 1 ? "has" : "have"));
  }
  return lines;
}

}  // namespace dwindle::passes
