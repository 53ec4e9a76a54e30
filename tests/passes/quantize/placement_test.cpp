#include "passes/quantize/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/ops/infer.h"
#include "tests/support/graph_builder.h"

namespace dwindle::passes {
namespace {

using testing::GraphBuilder;

template <typename Build>
Model inferred(Build&& build) {
  Model model = testing::make_model(std::forward<Build>(build));
  infer_shapes(model);
  return model;
}

// Conv, Relu, Transpose, Conv, Softmax.
Model chain() {
  return inferred([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 2, 4, 4});
    Value* a = b.node("a", "Conv", {x, b.ramp("w", {2, 2, 1, 1})});
    Value* r = b.node("r", "Relu", {a});
    Value* t = b.node("t", "Transpose", {r}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
    Value* c = b.node("c", "Conv", {t, b.ramp("v", {2, 2, 1, 1})});
    b.output(b.node("y", "Softmax", {c}));
  });
}

std::string reason_of(const Placement& placement, const std::string& output) {
  for (const Island& island : placement.islands) {
    if (island.node->output()->name() == output) return island.reason;
  }
  return "none";
}

TEST(Placement, layers_and_what_is_moved_between_them) {
  const Model model = chain();
  const Placement placement = place_quantization(model, {});
  const auto value = [&](const char* name) { return model.graph->find(name); };
  for (const char* name : {"x", "r", "t", "c"}) EXPECT_TRUE(placement.quantizes(value(name)));
  // Saturation does the Relu's work: what goes into it has no form of its own.
  EXPECT_FALSE(placement.quantizes(value("a")));
  EXPECT_FALSE(placement.quantizes(value("y")));
  EXPECT_EQ(placement.source(value("t")), value("r"));
  EXPECT_EQ(placement.source(value("r")), value("r"));
  EXPECT_EQ(placement.weights.size(), 2u);
  EXPECT_TRUE(placement.in_integers(value("r")->producer()));
  EXPECT_EQ(reason_of(placement, "y"), "no int8 form of Softmax");
}

TEST(Placement, a_layer_with_an_infinite_bias_has_weights_of_integers_alone) {
  const Model model = inferred([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 4});
    Value* g = b.node("g", "Gemm", {x, b.ramp("w", {4, 2}), b.floats("c", {2}, {0, -INFINITY})});
    b.output(b.node("y", "Relu", {g}));
  });
  for (bool activations : {true, false}) {
    const Placement placement = place_quantization(model, {}, {.activations = activations});
    EXPECT_TRUE(placement.values.empty());
    EXPECT_EQ(placement.weights.size(), 1u);
    EXPECT_EQ(reason_of(placement, "g"),
              activations ? "its biases hold an infinity; its weights are integers all the same"
                          : "none");
  }
}

// A mask is added in float; it takes no part in the layer in front of it.
TEST(Placement, masks_stay_in_float) {
  const Model model = inferred([](GraphBuilder& b) {
    Value* m = b.node("m", "MatMul", {b.input("x", {2, 4}), b.ramp("w", {4, 2})});
    b.output(b.node("y", "Add", {m, b.floats("mask", {2}, {0, -INFINITY})}));
  });
  const Placement placement = place_quantization(model, {});
  EXPECT_TRUE(placement.in_integers(model.graph->find("m")->producer()));
  EXPECT_FALSE(placement.in_integers(model.graph->find("y")->producer()));
  EXPECT_EQ(reason_of(placement, "y"), "its constant 'mask' holds an infinity");
}

TEST(Placement, invariants) {
  const Model model = chain();
  const std::vector<Node*> nodes(model.graph->nodes().begin(), model.graph->nodes().end());
  // With each node, and each pair, kept in float.
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (size_t j = i; j < nodes.size(); ++j) {
      const KeptFloat kept = {{nodes[i], "one"}, {nodes[j], "other"}};
      const Placement placement = place_quantization(model, kept);
      for (const Value* value : placement.values) {
        EXPECT_TRUE(placement.quantizes(value));
        EXPECT_EQ(placement.source(placement.source(value)), placement.source(value));
      }
      for (const Node* node : nodes) {
        const bool island =
            std::ranges::any_of(placement.islands, [&](const Island& x) { return x.node == node; });
        EXPECT_NE(island, placement.in_integers(node)) << node->op_type;
        if (!kept.contains(node)) continue;
        EXPECT_FALSE(placement.in_integers(node));
        EXPECT_EQ(std::ranges::count(placement.nodes, node), 0);
        EXPECT_EQ(reason_of(placement, node->output()->name()), kept.at(node));
      }
      for (const WeightSite& site : placement.weights) EXPECT_FALSE(kept.contains(site.node));
    }
  }
}

TEST(Placement, kept_nodes_may_have_their_weights_stored) {
  const Model model = chain();
  Node* first = *model.graph->nodes().begin();
  const Placement placement = place_quantization(model, {{first, "kept"}}, {}, {first});
  EXPECT_FALSE(placement.in_integers(first));
  EXPECT_TRUE(std::ranges::any_of(placement.weights,
                                  [&](const WeightSite& site) { return site.node == first; }));
}

TEST(Placement, without_activations_there_are_weights_alone) {
  const Model model = chain();
  const Placement placement = place_quantization(model, {}, {.activations = false});
  EXPECT_TRUE(placement.values.empty());
  EXPECT_TRUE(placement.nodes.empty());
  EXPECT_EQ(placement.weights.size(), 2u);
  EXPECT_EQ(reason_of(placement, "r"), "has no weights");
}

TEST(Placement, a_matrix_product_writes_float_unless_it_is_asked_for_integers) {
  const Model model = inferred([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 4});
    Value* m = b.node("m", "MatMul", {x, b.ramp("w", {4, 4})});
    b.output(b.node("s", "Softmax", {m}));
    Value* n = b.node("n", "MatMul", {x, b.ramp("v", {4, 4})});
    b.output(b.node("p", "MatMul", {n, b.ramp("u", {4, 4})}));
  });
  const Placement placement = place_quantization(model, {});
  EXPECT_FALSE(placement.quantizes(model.graph->find("m")));
  EXPECT_TRUE(placement.quantizes(model.graph->find("n")));
  EXPECT_FALSE(placement.makes_integers(model.graph->find("m")->producer()));
}

// Sums and products of what a Conv wrote, which is integers, and of what a MatMul and a Softmax
// did.
struct Mixed {
  Model model = inferred([](GraphBuilder& b) {
    Value* x = b.input("x", {1, 8, 4, 4});
    Value* conv = b.node("conv", "Conv", {x, b.ramp("w", {8, 8, 1, 1})});
    Value* other = b.node("other", "Conv", {x, b.ramp("v", {8, 8, 1, 1})});
    Value* normal = b.node("normal", "Softmax", {conv});
    Value* product = b.node("product", "MatMul", {normal, b.ramp("u", {4, 4})});
    Value* gate = b.node("gate", "MatMul", {b.input("g", {1, 8, 1, 4}), b.ramp("t", {4, 1})});
    b.output(b.node("sum", "Add", {conv, other}));
    b.output(b.node("stream", "Add", {normal, product}));
    b.output(b.node("mixed", "Add", {conv, product}));
    b.output(b.node("gated", "Mul", {gate, other}));
    b.output(b.node("shifted", "Add", {conv, b.ramp("shift", {8, 4, 4})}));
    b.output(b.node("turned", "Transpose", {normal}));
  });
  Placement placement = place_quantization(model, {});

  bool in_integers(const char* name) const {
    return placement.in_integers(model.graph->find(name)->producer());
  }
};

TEST(Placement, followers_join_where_their_data_comes_as_integers) {
  const Mixed mixed;
  ASSERT_TRUE(mixed.placement.quantizes(mixed.model.graph->find("normal")));  // for the product
  for (const char* name : {"sum", "shifted", "gated"}) EXPECT_TRUE(mixed.in_integers(name)) << name;
  for (const char* name : {"stream", "mixed", "turned"}) {
    EXPECT_FALSE(mixed.in_integers(name)) << name;
    EXPECT_EQ(reason_of(mixed.placement, name), "its inputs come in float");
  }
}

TEST(Placement, fused_tails) {
  const Model model = inferred([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 4});
    Value* m = b.node("m", "MatMul", {x, b.ramp("w", {4, 4})});
    Value* a = b.node("a", "Add", {m, b.ramp("b", {4})});
    Value* r = b.node("r", "Relu", {a});
    Value* q = b.node("q", "Relu", {r});
    b.output(b.node("n", "MatMul", {q, b.ramp("v", {4, 4})}));
  });
  const auto node = [&](const char* name) { return model.graph->find(name)->producer(); };
  EXPECT_EQ(fused_tail(node("m"), {}), node("r"));
  EXPECT_EQ(fused_tail(node("m"), {{node("r"), ""}}), node("a"));
  EXPECT_EQ(fused_tail(node("m"), {{node("a"), ""}}), node("m"));
  EXPECT_EQ(fused_tail(node("n"), {}), node("n"));
}

}  // namespace
}  // namespace dwindle::passes
