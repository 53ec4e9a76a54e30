// raise-opset: brings a model of an older ai.onnx version to a newer one by rewriting the ops whose
// form or meaning changed in between: attributes that became inputs (axes, pads, bounds, …), ops
// that were replaced (Upsample, Scatter), Softmax that flattened its input.
//
// Quantization per channel needs version 13; every change from version 7 to there is covered.
// Nested graphs are converted; so are local functions. Does
// nothing where the model is of that version already. Source: the operators' change log
// (onnx/docs/Changelog.md).
#include <functional>
#include <optional>

#include "core/ops/infer.h"
#include "core/support/error.h"
#include "passes/convert/passes.h"

namespace dwindle::passes {
namespace {

constexpr int64_t kLeastSource = 7;
constexpr int64_t kMostTarget = 13;

std::string where(const Node& node) { return node.op_type + " node '" + node.name + "': "; }

Value* add_ints(Node& node, const std::string& name, std::vector<int64_t> values) {
  const Dims shape{static_cast<int64_t>(values.size())};
  return node.graph()->add_initializer(node.op_type + "_" + name,
                                       Tensor::of<int64_t>(shape, values));
}

// Integers in an attribute become input `index`.
void ints_to_input(Node& node, const char* name, size_t index) {
  auto values = node.ints_attribute(name);
  if (!values) return;
  node.remove_attribute(name);
  node.set_input(index, add_ints(node, name, std::move(*values)));
}

void spatial_batch_norm(Node& node) {
  if (node.int_attribute("spatial", 1) != 1) {
    throw Unsupported(where(node) + "spatial=0 has no form in newer operator sets");
  }
  node.remove_attribute("spatial");
}

// Upsample-7: scales in an attribute.
void upsample_scales(Node& node) {
  const auto scales = node.floats_attribute("scales");
  if (!scales) return;
  node.remove_attribute("scales");
  const Dims shape{static_cast<int64_t>(scales->size())};
  node.set_input(
      1, node.graph()->add_initializer("Upsample_scales", Tensor::of<float>(shape, *scales)));
}

void upsample_to_resize(Node& node) { node.op_type = "Resize"; }

// Resize-10 knew one coordinate transform; the later op takes a region of interest before the
// scales.
void resize_coordinates(Node& node) {
  Value* scales = node.input(1);
  node.set_input(1, nullptr);
  node.set_input(2, scales);
  // Version 11 wants the region present, if empty.
  node.set_input(1,
                 node.graph()->add_initializer("Resize_roi", Tensor::allocate(DType::kFloat, {0})));
  node.set_attribute("coordinate_transformation_mode", std::string("asymmetric"));
  if (node.string_attribute("mode", "nearest") == "nearest") {
    node.set_attribute("nearest_mode", std::string("floor"));
  }
}

void slice_to_inputs(Node& node) {
  ints_to_input(node, "starts", 1);
  ints_to_input(node, "ends", 2);
  ints_to_input(node, "axes", 3);
}

void topk_to_input(Node& node) {
  const int64_t k = node.int_attribute("k", 1);
  node.remove_attribute("k");
  node.set_input(1, add_ints(node, "k", {k}));
}

void clip_to_inputs(Node& node) {
  const DType dtype = node.input(0)->type.dtype;
  if (dtype != DType::kFloat && dtype != DType::kUndefined) {
    throw Unsupported(where(node) + "bounds of " + std::string(dtype_name(dtype)));
  }
  size_t index = 1;
  for (const char* name : {"min", "max"}) {
    if (node.attribute(name) != nullptr) {
      const float bound = node.float_attribute(name, 0);
      node.remove_attribute(name);
      node.set_input(
          index, node.graph()->add_initializer(std::string("Clip_") + name, Tensor::scalar(bound)));
    }
    ++index;
  }
}

void pad_to_inputs(Node& node) {
  const float value = node.float_attribute("value", 0);
  node.remove_attribute("value");
  ints_to_input(node, "pads", 1);
  if (node.string_attribute("mode", "constant") != "constant" || value == 0) return;
  if (node.input(0)->type.dtype != DType::kFloat) {
    throw Unsupported(where(node) + "a pad value whose dtype is not known to be float32");
  }
  node.set_input(2, node.graph()->add_initializer("Pad_value", Tensor::scalar(value)));
}

void scatter_to_elements(Node& node) { node.op_type = "ScatterElements"; }

// In inference the ratio does not matter; the mask was a float before version 10.
void dropout_without_ratio(Node& node) {
  if (node.output(1) != nullptr && !node.output(1)->unused()) {
    throw Unsupported(where(node) + "a mask that is used");
  }
  node.remove_attribute("ratio");
  if (node.output(1) != nullptr) node.drop_output(1);
}

void axes_to_input(Node& node) { ints_to_input(node, "axes", 1); }
void split_to_input(Node& node) { ints_to_input(node, "split", 1); }

// Before version 13 all axes from `axis` on were one. Where that is the last axis alone, the newer
// op says the same; elsewhere Flatten and Reshape go round it.
void unflatten_softmax(Node& node) {
  const int64_t axis = node.int_attribute("axis", 1);
  const auto& shape = node.input(0)->type.shape;
  const auto rank = shape ? static_cast<int64_t>(shape->size()) : int64_t{-1};
  if (axis == -1 || (rank > 0 && (axis == rank - 1 || axis + rank == rank - 1))) {
    node.set_attribute("axis", int64_t{-1});
    return;
  }
  Graph& graph = *node.graph();
  Value* input = node.input(0);
  Value* result = node.output();
  Node* shape_of = graph.add_node("Shape", {input}, 1, &node);
  Node* flatten = graph.add_node("Flatten", {input}, 1, &node);
  flatten->set_attribute("axis", axis);
  node.set_input(0, flatten->output());
  node.set_attribute("axis", int64_t{-1});
  Node* reshape = graph.add_node("Reshape", {nullptr, shape_of->output()}, 1, node.next());
  reshape->output()->type = result->type;
  graph.replace(result, reshape->output());
  reshape->set_input(0, node.output());
  node.output()->type.shape.reset();
}

struct Conversion {
  const char* op;
  int64_t version;  // the first in which the new form holds
  void (*convert)(Node&);
};

// In the order of versions: one node may pass through several.
constexpr Conversion kConversions[] = {
    {"BatchNormalization", 9, spatial_batch_norm},
    {"Upsample", 9, upsample_scales},
    {"Upsample", 10, upsample_to_resize},
    {"Slice", 10, slice_to_inputs},
    {"TopK", 10, topk_to_input},
    {"Resize", 11, resize_coordinates},
    {"Clip", 11, clip_to_inputs},
    {"Pad", 11, pad_to_inputs},
    {"Scatter", 11, scatter_to_elements},
    {"Dropout", 12, dropout_without_ratio},
    {"ReduceSum", 13, axes_to_input},
    {"Squeeze", 13, axes_to_input},
    {"Unsqueeze", 13, axes_to_input},
    {"Split", 13, split_to_input},
    {"Softmax", 13, unflatten_softmax},
    {"LogSoftmax", 13, unflatten_softmax},
    {"Hardmax", 13, unflatten_softmax},
};

// Ops whose change between two versions has no conversion here.
struct Obstacle {
  const char* op;
  int64_t version;
};
constexpr Obstacle kObstacles[] = {
    {"Scan", 9},  // its batch axis went
};

class RaiseOpset : public Pass {
 public:
  explicit RaiseOpset(int64_t target) : target_(target) {
    if (target < kLeastSource || target > kMostTarget) {
      throw BadOption("opset: " + std::to_string(target) + " is not between " +
                      std::to_string(kLeastSource) + " and " + std::to_string(kMostTarget));
    }
  }

  PassResult run(Model& model, PassContext&) override {
    PassResult result;
    const int64_t from = model.opset();
    if (from >= target_) return result;
    if (from < kLeastSource) {
      throw Unsupported("a model of opset " + std::to_string(from) + "; versions from " +
                        std::to_string(kLeastSource) + " on are converted");
    }
    infer_shapes(model);
    result.counts["nodes rewritten"] += convert(*model.graph, from);
    model.opsets[""] = target_;
    for (Function& function : model.functions) {
      auto imported = function.opsets.find("");
      if (imported == function.opsets.end() || imported->second >= target_) continue;
      result.counts["nodes rewritten"] += convert(*function.graph, imported->second);
      imported->second = target_;
    }
    model.ir_version = std::max<int64_t>(model.ir_version, target_ >= 21   ? 10
                                                           : target_ >= 15 ? 8
                                                                           : 7);
    result.changed = true;
    return result;
  }

 private:
  int64_t convert(Graph& root, int64_t from) {
    int64_t rewritten = 0;
    for_each_graph(root, [&](Graph& graph) {
      for (Node* node : graph.nodes()) {
        if (!node->domain.empty()) continue;
        for (const Obstacle& obstacle : kObstacles) {
          if (node->op_type == obstacle.op && from < obstacle.version &&
              target_ >= obstacle.version) {
            throw Unsupported(where(*node) + "cannot be brought from opset " +
                              std::to_string(from) + " to " + std::to_string(target_));
          }
        }
        bool changed = false;
        for (const Conversion& conversion : kConversions) {
          if (node->op_type != conversion.op) continue;
          if (from >= conversion.version || target_ < conversion.version) continue;
          conversion.convert(*node);
          changed = true;
        }
        rewritten += changed;
      }
      graph.sweep();
    });
    return rewritten;
  }

  int64_t target_;
};

}  // namespace

PassRow raise_opset_row() {
  return {"raise-opset",
          "Bring a model of an older ai.onnx version to a newer one",
          {{"opset", int64_t{13}, "version to reach, 7 to 13", {}}},
          [](const Options& options) -> std::unique_ptr<Pass> {
            return std::make_unique<RaiseOpset>(options.get<int64_t>("opset"));
          }};
}

}  // namespace dwindle::passes
