#include <algorithm>
#include <cmath>
#include <exception>
#include <set>
#include <string>
#include <vector>

#include "core/ops/half.h"
#include "core/runtime/same_outputs.h"
#include "core/support/error.h"
#include "core/support/random.h"

namespace dwindle {
namespace {

template <typename T>
Tensor integers(const Dims& dims, int64_t count, Random& random) {
  Tensor tensor = Tensor::allocate(DTypeOf<T>::value, dims);
  T* out = tensor.mutable_data<T>();
  for (int64_t i = 0; i < tensor.size(); ++i) {
    out[i] = static_cast<T>(random.next() % static_cast<uint64_t>(count));
  }
  return tensor;
}

template <typename T>
Tensor normals(const Dims& dims, Random& random) {
  Tensor tensor = Tensor::allocate(DTypeOf<T>::value, dims);
  T* out = tensor.mutable_data<T>();
  for (int64_t i = 0; i < tensor.size(); ++i) out[i] = static_cast<T>(random.normal());
  return tensor;
}

Tensor random_tensor(const Value& value, const Dims& dims, int64_t count, Random& random) {
  switch (value.type.dtype) {
    case DType::kFloat:
      return normals<float>(dims, random);
    case DType::kDouble:
      return normals<double>(dims, random);
    case DType::kFloat16:
    case DType::kBfloat16:
      return float_to_half(normals<float>(dims, random), value.type.dtype);
    case DType::kBool:
      return integers<bool>(dims, 2, random);
    case DType::kInt8:
      return integers<int8_t>(dims, count, random);
    case DType::kUint8:
      return integers<uint8_t>(dims, count, random);
    case DType::kInt16:
      return integers<int16_t>(dims, count, random);
    case DType::kUint16:
      return integers<uint16_t>(dims, count, random);
    case DType::kInt32:
      return integers<int32_t>(dims, count, random);
    case DType::kUint32:
      return integers<uint32_t>(dims, count, random);
    case DType::kInt64:
      return integers<int64_t>(dims, count, random);
    case DType::kUint64:
      return integers<uint64_t>(dims, count, random);
    default:
      throw Unsupported("random data for input '" + value.name() + "' (" + to_string(value.type) +
                        ") is not supported");
  }
}

// Whether an input has the axis of this name in front.
bool is_first_axis(const Model& model, const std::string& symbol) {
  return std::ranges::any_of(model.graph->inputs(), [&](const Value* input) {
    const auto& shape = input->type.shape;
    return shape && !shape->empty() && !shape->front().known() && shape->front().symbol == symbol;
  });
}

// The names of the unknown axes that are no first ones.
std::vector<std::string> length_names(const Model& model) {
  std::set<std::string> names;
  for (const Value* input : model.graph->inputs()) {
    if (input->initializer() != nullptr || !input->type.shape) continue;
    for (const Dim& dim : *input->type.shape) {
      if (!dim.known() && !dim.symbol.empty() && !is_first_axis(model, dim.symbol)) {
        names.insert(dim.symbol);
      }
    }
  }
  return {names.begin(), names.end()};
}

// Small numbers among the constant integers, of which targets of Reshape are made, least first.
std::vector<int64_t> extents_in_constants(const Model& model) {
  constexpr size_t kMost = 24;
  constexpr int64_t kMostElements = 8, kLargest = 4096;
  std::set<int64_t> found;
  for_each_graph(*model.graph, [&](Graph& graph) {
    for (const Value* value : graph.values()) {
      const Tensor* constant = value->constant();
      if (constant == nullptr || constant->dtype() != DType::kInt64 ||
          constant->size() > kMostElements) {
        continue;
      }
      for (int64_t extent : to_int64s(*constant)) {
        if (extent > 2 && extent <= kLargest) found.insert(extent);
      }
    }
  });
  std::vector<int64_t> extents(found.begin(), found.end());
  if (extents.size() > kMost) extents.resize(kMost);
  return extents;
}

// What to try, the likeliest first.
std::vector<FeedChoice> feed_choices(const Model& model, bool unknown_extents) {
  if (!unknown_extents) return {FeedChoice{}};
  std::vector<FeedChoice> choices;
  // Small ones first; images need room for their strides, sound for its windows, and some models
  // take a batch of 1 only.
  std::vector<std::pair<int64_t, int64_t>> extents = {{2, 16}, {1, 64}, {1, 224}, {1, 32},
                                                      {2, 2},  {1, 1},  {1, 512}, {1, 1024}};
  // Traced models hold extents of the example that they were traced with.
  const std::vector<int64_t> traced = extents_in_constants(model);
  for (int64_t extent : traced) {
    extents.insert(extents.end(), {{2, extent}, {1, extent}, {extent, 16}});
  }
  for (const bool one_signal : {false, true}) {
    for (const auto& [first_extent, extent] : extents) {
      choices.push_back({.first_extent = first_extent, .extent = extent, .one_signal = one_signal});
    }
  }
  // A source and a target that differ in length.
  const std::vector<std::string> names = length_names(model);
  if (names.size() != 2) return choices;
  for (const int64_t first_extent : {2, 1}) {
    for (int64_t a : traced) {
      for (int64_t b : traced) {
        if (a == b) continue;
        choices.push_back({.first_extent = first_extent, .named = {{names[0], a}, {names[1], b}}});
      }
    }
  }
  return choices;
}

}  // namespace

TensorMap random_feeds(const Model& model, uint64_t seed, const FeedChoice& choice) {
  TensorMap feeds;
  Random random(seed);
  bool beside_signal = false;
  for (const Value* input : model.graph->inputs()) {
    if (input->initializer() != nullptr) continue;
    if (!input->type.is_tensor() || !input->type.shape) {
      throw Unsupported("random data for input '" + input->name() +
                        "', which is no tensor of known rank, is not supported");
    }
    Dims dims;
    for (const Dim& dim : *input->type.shape) {
      const auto named = choice.named.find(dim.symbol);
      if (dim.known()) {
        dims.push_back(dim.extent);
      } else if (named != choice.named.end()) {
        dims.push_back(named->second);
      } else {
        // The first axis is the batch more often than not, but a name decides for all its axes.
        const bool first =
            dim.symbol.empty() ? dims.empty() || beside_signal : is_first_axis(model, dim.symbol);
        dims.push_back(first ? choice.first_extent : choice.extent);
      }
    }
    beside_signal |= choice.one_signal && !all_known(*input->type.shape);
    feeds.emplace(input->name(), random_tensor(*input, dims, choice.integers, random));
  }
  return feeds;
}

TensorMap runnable_feeds(const Model& model, Executor& executor, uint64_t seed,
                         TensorMap* outputs) {
  bool unknown_extents = false, integers = false;
  for (const Value* input : model.graph->inputs()) {
    if (input->initializer() != nullptr) continue;
    unknown_extents |= input->type.shape && !all_known(*input->type.shape);
    integers |= is_integer(input->type.dtype);
  }
  std::exception_ptr first_error;
  for (FeedChoice choice : feed_choices(model, unknown_extents)) {
    for (const int64_t count : {8, 2, 1}) {
      choice.integers = count;
      TensorMap feeds = random_feeds(model, seed, choice);
      try {
        TensorMap made = executor.run(feeds);
        if (outputs != nullptr) *outputs = std::move(made);
        return feeds;
      } catch (const Unsupported&) {
        throw;  // no other feed helps
      } catch (const Error&) {
        if (!first_error) first_error = std::current_exception();
      }
      if (!integers) break;
    }
  }
  std::rethrow_exception(first_error);
}

}  // namespace dwindle
