#include <gtest/gtest.h>

#include "core/support/error.h"
#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

// x: float32[2,3,6,6] through one op of an old version.
Model one_op(int opset, const std::string& op, const AttributeArguments& attributes,
             const Floats& second = {}, DType dtype = DType::kFloat) {
  return make_model(
      [&](GraphBuilder& b) {
        std::vector<Value*> inputs = {b.input("x", {2, 3, 6, 6}, dtype)};
        if (!second.empty()) {
          inputs.push_back(b.floats("second", {static_cast<int64_t>(second.size())}, second));
        }
        b.output(b.node("y", op, inputs, attributes));
      },
      opset);
}

Model raised_model(const Model& model, int64_t target = 13) {
  Model after = run_checked(model, "raise-opset", {{"opset", target}});
  EXPECT_EQ(after.opset(), target);
  return after;
}

std::string raised(const Model& model, int64_t target = 13) {
  return ops_of(*raised_model(model, target).graph);
}

// What the pass says of a model that it cannot convert.
std::string refusal(const Model& given, int64_t target) {
  Model model = given.clone();
  passes::PassContext context;
  try {
    passes::make_pass("raise-opset", {{"opset", target}})->run(model, context);
  } catch (const Unsupported& error) {
    return error.what();
  }
  return "";
}

TEST(RaiseOpset, AttributesBecomeInputs) {
  for (const int64_t target : {13, 21, 28}) {
    auto same_op = [&](const Model& model, const std::string& op) {
      EXPECT_EQ(raised(model, target), op);
    };
    same_op(one_op(7, "Clip", {{"min", -0.5f}, {"max", 0.25f}}), "Clip");
    same_op(one_op(7, "Clip", {{"max", 0.25f}}), "Clip");
    same_op(one_op(7, "Clip", {{"max", 0.25f}}, {}, DType::kFloat16), "Clip");
    same_op(one_op(7, "Clip", {{"min", 0.25f}}, {}, DType::kDouble), "Clip");
    same_op(
        one_op(9, "Slice", {{"starts", Ints{1, -3}}, {"ends", Ints{3, 99}}, {"axes", Ints{1, 3}}}),
        "Slice");
    same_op(one_op(9, "Slice", {{"starts", Ints{1}}, {"ends", Ints{2}}}), "Slice");
    const Ints pads{0, 0, 1, 2, 0, 0, 0, 1};
    same_op(one_op(10, "Pad", {{"pads", pads}, {"value", 3.0f}}), "Pad");
    same_op(one_op(10, "Pad", {{"pads", pads}, {"value", 3.0f}}, {}, DType::kFloat16), "Pad");
    same_op(one_op(10, "Pad", {{"pads", pads}, {"mode", std::string("edge")}}), "Pad");
    same_op(one_op(11, "Unsqueeze", {{"axes", Ints{0, 2}}}), "Unsqueeze");
    same_op(one_op(11, "Dropout", {{"ratio", 0.5f}}), "Dropout");
  }
}

TEST(RaiseOpset, AxesOfReductionsBecomeInputs) {
  const Model sum = one_op(11, "ReduceSum", {{"axes", Ints{1, -1}}, {"keepdims", int64_t{0}}});
  expect_pass(sum, "raise-opset",
              make_model(
                  [](GraphBuilder& b) {
                    Value* x = b.input("x", {2, 3, 6, 6});
                    Value* axes = b.ints("ReduceSum_axes", {1, -1});
                    b.output(b.node("y", "ReduceSum", {x, axes}, {{"keepdims", int64_t{0}}}));
                  },
                  13));
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSumSquare"}) {
    const Model model = one_op(7, op, {{"axes", Ints{2}}});
    EXPECT_EQ((*raised_model(model, 17).graph->nodes().begin())->num_inputs(), 1u) << op;
    EXPECT_EQ((*raised_model(model, 18).graph->nodes().begin())->num_inputs(), 2u) << op;
    EXPECT_EQ((*raised_model(one_op(7, op, {}), 28).graph->nodes().begin())->num_inputs(), 1u);
  }
}

TEST(RaiseOpset, SplitSaysItsParts) {
  auto split = [](int opset, const AttributeArguments& attributes) {
    return make_model(
        [&](GraphBuilder& b) {
          Value* x = b.input("x", {2, 6});
          for (Value* part : b.nodes({"a", "b"}, "Split", {x}, attributes)) b.output(part);
        },
        opset);
  };
  EXPECT_EQ(raised(split(11, {{"axis", int64_t{1}}, {"split", Ints{2, 4}}}), 28), "Split");
  EXPECT_EQ(raised(split(13, {{"axis", int64_t{-1}}}), 17), "Split");
  const Model equal = raised_model(split(11, {{"axis", int64_t{1}}}), 18);
  EXPECT_EQ((*equal.graph->nodes().begin())->int_attribute("num_outputs", 0), 2);
}

TEST(RaiseOpset, UpsampleBecomesResize) {
  for (const int64_t target : {11, 13, 28}) {
    EXPECT_EQ(raised(one_op(7, "Upsample", {{"scales", Floats{1, 1, 2, 3}}}), target), "Resize");
    EXPECT_EQ(
        raised(one_op(9, "Upsample", {{"mode", std::string("linear")}}, {1, 1, 2, 2}), target),
        "Resize");
    EXPECT_EQ(
        raised(one_op(10, "Resize", {{"mode", std::string("linear")}}, {1, 1, 0.5f, 2}), target),
        "Resize");
  }
}

TEST(RaiseOpset, UpsampleByScalesOfTheRunIsOneResize) {
  const Model model = make_model(
      [](GraphBuilder& b) {
        Value* x = b.input("x", {1, 1, 3, 4});
        Value* twice = b.node("twice", "Identity", {b.floats("scales", {4}, {1, 1, 2, 1.5f})});
        b.output(b.node("y", "Upsample", {x, twice}));
      },
      9);
  EXPECT_EQ(raised(model, 10), "Identity Resize");
  EXPECT_EQ(raised(model, 13), "Identity Resize");
}

TEST(RaiseOpset, ResizeToTheNearestGoesUpAndDown) {
  EXPECT_EQ(raised(one_op(10, "Resize", {}, {1, 1, 0.6f, 0.7f})), "Resize");
  EXPECT_EQ(raised(one_op(10, "Resize", {}, {1, 1, 1.7f, 2.3f})), "Resize");
  EXPECT_EQ(raised(one_op(10, "Resize", {}, {1, 1, 0.6f, 1.7f})), "Min Max Resize Resize");
}

Model resize_11(const std::string& coordinates, const std::string& nearest_mode) {
  return make_model(
      [&](GraphBuilder& b) {
        Value* x = b.input("x", {1, 1, 5, 6});
        Value* none = b.floats("none", {0}, {});
        Value* sizes = b.ints("sizes", {1, 1, 3, 8});
        b.output(b.node(
            "y", "Resize", {x, none, none, sizes},
            {{"coordinate_transformation_mode", coordinates}, {"nearest_mode", nearest_mode}}));
      },
      11);
}

TEST(RaiseOpset, ResizeLosesATransform) {
  EXPECT_EQ(raised(resize_11("half_pixel", "ceil"), 28), "Resize");
  for (const char* nearest : {"floor", "round_prefer_floor"}) {
    const Model after = raised_model(resize_11("tf_half_pixel_for_nn", nearest), 13);
    const Node* resize = *after.graph->nodes().begin();
    EXPECT_EQ(resize->string_attribute("coordinate_transformation_mode", ""), "half_pixel");
    EXPECT_EQ(resize->input(2), nullptr);
  }
  EXPECT_EQ(refusal(resize_11("tf_half_pixel_for_nn", "ceil"), 13),
            "Resize node '': cannot be brought from opset 11 to 13: coordinates "
            "tf_half_pixel_for_nn with nearest_mode ceil");
  EXPECT_EQ(raised(resize_11("tf_half_pixel_for_nn", "ceil"), 12), "Resize");
}

TEST(RaiseOpset, SoftmaxOverSeveralAxesStaysSo) {
  EXPECT_EQ(raised(one_op(11, "Softmax", {{"axis", int64_t{3}}})), "Softmax");
  EXPECT_EQ(raised(one_op(11, "Softmax", {})), "Shape Flatten Softmax Reshape");
  EXPECT_EQ(raised(one_op(11, "LogSoftmax", {{"axis", int64_t{2}}}), 28),
            "Shape Flatten LogSoftmax Reshape");
  EXPECT_EQ(raised(one_op(7, "Hardmax", {{"axis", int64_t{0}}}), 21),
            "Shape Flatten Hardmax Reshape");
}

Model group_norm(const Shape& shape) {
  return make_model(
      [&](GraphBuilder& b) {
        Value* x = b.input("x", shape);
        Value* scale = b.floats("scale", {2}, {0.5f, 2});
        Value* bias = b.floats("bias", {2}, {-1, 0.25f});
        b.output(b.node("y", "GroupNormalization", {x, scale, bias}, {{"num_groups", int64_t{2}}}));
      },
      18);
}

TEST(RaiseOpset, GroupNormalizationHasOneScaleAChannel) {
  EXPECT_EQ(raised(group_norm({2, 6, 3}), 20), "GroupNormalization");
  const std::string twice = "Reshape Expand Reshape Reshape Expand Reshape GroupNormalization";
  EXPECT_EQ(raised(group_norm({2, 6, 3}), 21), twice);
  EXPECT_EQ(raised(group_norm({2, Dim::named("c"), 3}), 28), "Shape Slice Div Concat " + twice);
}

TEST(RaiseOpset, DefaultsAreWrittenOut) {
  const Model align = make_model(
      [](GraphBuilder& b) {
        Value* x = b.input("x", {1, 2, 8, 8});
        Value* rois = b.floats("rois", {2, 4}, {0.5f, 0, 5, 6, 1, 2, 7, 7});
        Value* batch = b.ints("batch", {0, 0});
        b.output(b.node("y", "RoiAlign", {x, rois, batch},
                        {{"output_height", int64_t{3}}, {"output_width", int64_t{2}}}));
      },
      10);
  EXPECT_EQ(raised(align, 28), "RoiAlign");
  for (const char* mode : {"", "bilinear", "bicubic", "nearest"}) {
    const Model sample = make_model(
        [&](GraphBuilder& b) {
          Value* x = b.input("x", {1, 1, 4, 4});
          Value* grid = b.input("grid", {1, 3, 3, 2});
          AttributeArguments attributes;
          if (*mode != 0) attributes = {{"mode", std::string(mode)}};
          b.output(b.node("y", "GridSample", {x, grid}, attributes));
        },
        16);
    EXPECT_EQ(raised(sample, 20), "GridSample");
  }
  const Model transform = make_model(
      [](GraphBuilder& b) {
        b.output(b.node("y", "DFT", {b.input("x", {2, 4, 5, 1})}));
      },
      17);
  EXPECT_EQ(raised(transform, 20), "DFT");
}

TEST(RaiseOpset, ConvertsNestedGraphs) {
  const Model model = make_nested_model(
      {2, 4},
      [](GraphBuilder& b, Value* x) {
        b.output(b.node("c", "Clip", {x}, {{"min", 0.0f}}));
      },
      9);
  const Model after = raised_model(model, 28);
  const Graph* branch = (*after.graph->nodes().begin())->graph_attribute("then_branch");
  EXPECT_EQ((*branch->nodes().begin())->num_inputs(), 2u);
}

// A model of opset `opset` that calls a function of opset 11 with a ReduceSum.
Model with_function(int opset) {
  Model model = make_model(
      [](GraphBuilder& b) {
        b.output(b.node("y", "Total", {b.input("x", {2, 3})}));
        b.graph().last_node()->domain = "local";
      },
      opset);
  model.opsets["local"] = 1;
  Function function;
  function.domain = "local";
  function.name = "Total";
  function.opsets[""] = 11;
  function.graph = std::make_unique<Graph>();
  Graph& graph = *function.graph;
  Value* x = graph.add_input(graph.add_value("x"));
  Node* sum = graph.add_node("ReduceSum", {x});
  sum->set_attribute("axes", Ints{1});
  graph.add_output(sum->output());
  model.functions.push_back(std::move(function));
  return model;
}

TEST(RaiseOpset, ConvertsFunctionsFromTheirOwnVersion) {
  raised_model(with_function(11), 28);
  Model after = with_function(13);
  passes::PassContext context;
  EXPECT_TRUE(passes::make_pass("raise-opset")->run(after, context).changed);
  EXPECT_EQ(after.opset(), 13);
  const Function& function = after.functions.front();
  EXPECT_EQ(function.opsets.at(""), 13);
  // A function holds no initializers.
  EXPECT_EQ(ops_of(*function.graph), "Constant ReduceSum");
  EXPECT_TRUE(function.graph->initializers().empty());
}

TEST(RaiseOpset, RaisesTheIrVersion) {
  Model model = one_op(7, "Relu", {});
  model.ir_version = 3;
  for (const auto& [opset, ir] : std::map<int64_t, int64_t>{
           {8, 4}, {13, 7}, {18, 8}, {21, 10}, {23, 11}, {24, 12}, {25, 13}, {28, 14}}) {
    EXPECT_EQ(raised_model(model, opset).ir_version, ir) << opset;
  }
}

TEST(RaiseOpset, LeavesNewerModelsAndOtherDomains) {
  expect_untouched(one_op(13, "Softmax", {}), "raise-opset");
  expect_untouched(one_op(17, "Relu", {}), "raise-opset");
  expect_untouched(one_op(28, "Relu", {}), "raise-opset", {{"opset", int64_t{28}}});
  Model model = with_function(11);
  model.functions.clear();
  (*model.graph->nodes().begin())->op_type = "Clip";  // of the domain "local"
  passes::PassContext context;
  passes::make_pass("raise-opset", {{"opset", int64_t{28}}})->run(model, context);
  EXPECT_EQ((*model.graph->nodes().begin())->num_inputs(), 1u);
}

TEST(RaiseOpset, RefusesWhatItCannotConvert) {
  const Model normalized = make_model(
      [](GraphBuilder& b) {
        std::vector<Value*> inputs = {b.input("x", {2, 3, 4})};
        for (const char* name : {"scale", "bias", "mean", "var"}) {
          inputs.push_back(b.ramp(name, {3}, 1));
        }
        b.output(b.nodes({"y", "m", "v"}, "BatchNormalization", inputs).front());
        b.graph().last_node()->name = "norm";
      },
      9);
  EXPECT_EQ(refusal(normalized, 28),
            "BatchNormalization node 'norm': cannot be brought from opset 9 to 14: the training "
            "mode");
  EXPECT_EQ(refusal(normalized, 13), "");
  EXPECT_EQ(refusal(one_op(18, "ReduceLogSum", {}, {}, DType::kInt64), 27), "");
  EXPECT_NE(refusal(one_op(18, "ReduceLogSum", {}, {}, DType::kInt64), 28), "");
  Model unknown = one_op(7, "Clip", {{"min", 0.0f}});
  unknown.graph->inputs().front()->type = {};
  EXPECT_NE(refusal(unknown, 14).find("the dtype of 'x' is not known"), std::string::npos);
  EXPECT_EQ(refusal(unknown, 15), "");  // CastLike
  EXPECT_THROW(passes::make_pass("raise-opset", {{"opset", int64_t{99}}}), BadOption);
  EXPECT_THROW(passes::make_pass("raise-opset", {{"opset", int64_t{6}}}), BadOption);
  EXPECT_NE(refusal(one_op(6, "Relu", {}), 13), "");
}

}  // namespace
}  // namespace dwindle::testing
