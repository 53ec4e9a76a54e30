#include <gtest/gtest.h>

#include "passes/registry.h"
#include "tests/support/expect_pass.h"
#include "tests/support/graph_builder.h"

namespace dwindle::testing {
namespace {

TEST(FoldConstants, RunsNodesOfConstants) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 2});
    Value* w = b.floats("w", {2, 2}, {1, 2, 3, 4});
    Value* turned = b.node("turned", "Transpose", {w});
    Value* both = b.node("both", "Concat", {turned, turned}, {{"axis", int64_t{1}}});
    b.output(b.node("y", "MatMul", {x, both}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 2});
    Value* both = b.floats("both", {2, 4}, {1, 3, 1, 3, 2, 4, 2, 4});
    b.output(b.node("y", "MatMul", {x, both}));
  });
  expect_pass(before, "fold-constants", after);
}

TEST(FoldConstants, FindsAStaticAxisBesideAnUnknownBatch) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3, 4});
    Value* shape = b.node("shape", "Shape", {x});
    Value* one = b.constant("one", Tensor::scalar<int64_t>(1));
    Value* channels = b.node("channels", "Gather", {shape, one}, {{"axis", int64_t{0}}});
    Value* axes = b.ints("axes", {0});
    Value* row = b.node("row", "Unsqueeze", {channels, axes});
    Value* rest = b.ints("rest", {2, -1});
    Value* target = b.node("target", "Concat", {row, rest}, {{"axis", int64_t{0}}});
    b.output(b.node("y", "Reshape", {x, target}));
  });
  const Model model = run_checked(before, "fold-constants");
  const Node* reshape = model.graph->outputs()[0]->producer();
  ASSERT_NE(reshape->input(1)->constant(), nullptr);
  EXPECT_EQ(to_int64s(*reshape->input(1)->constant()), (std::vector<int64_t>{3, 2, -1}));
}

// [Shape(x)[0], 12]: one unknown extent becomes -1.
TEST(FoldConstants, GivesReshapeAConstantTarget) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3, 4});
    Value* shape = b.node("shape", "Shape", {x});
    Value* zero = b.ints("zero", {0});
    Value* batch = b.node("batch", "Gather", {shape, zero}, {{"axis", int64_t{0}}});
    Value* rest = b.ints("rest", {12});
    Value* target = b.node("target", "Concat", {batch, rest}, {{"axis", int64_t{0}}});
    b.output(b.node("y", "Reshape", {x, target}));
  });
  const Model model = run_checked(before, "fold-constants");
  const Node* reshape = model.graph->outputs()[0]->producer();
  ASSERT_NE(reshape->input(1)->constant(), nullptr);
  EXPECT_EQ(to_int64s(*reshape->input(1)->constant()), (std::vector<int64_t>{-1, 12}));
}

// [N, T, 2, 2]: two unknown extents, copied from their places.
TEST(FoldConstants, CopiesUnknownExtentsFromTheirPlaces) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), Dim::named("T"), 4});
    Value* shape = b.node("shape", "Shape", {x});
    Value* places = b.ints("places", {0, 1});
    Value* front = b.node("front", "Gather", {shape, places}, {{"axis", int64_t{0}}});
    Value* heads = b.ints("heads", {2, 2});
    Value* target = b.node("target", "Concat", {front, heads}, {{"axis", int64_t{0}}});
    b.output(b.node("y", "Reshape", {x, target}));
  });
  const Model model = run_checked(before, "fold-constants");
  const Node* reshape = model.graph->outputs()[0]->producer();
  ASSERT_NE(reshape->input(1)->constant(), nullptr);
  EXPECT_EQ(to_int64s(*reshape->input(1)->constant()), (std::vector<int64_t>{0, 0, 2, 2}));
}

// [N, -1] where a zero would mean zero: no zero is meant, so it may as well copy.
TEST(FoldConstants, CopiesBesideAnInferredExtent) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {Dim::named("N"), 3, 4});
    Value* batch = b.node("batch", "Shape", {x}, {{"end", int64_t{1}}});
    Value* rest = b.ints("rest", {-1});
    Value* target = b.node("target", "Concat", {batch, rest}, {{"axis", int64_t{0}}});
    b.output(b.node("y", "Reshape", {x, target}, {{"allowzero", int64_t{1}}}));
  });
  const Model model = run_checked(before, "fold-constants");
  const Node* reshape = model.graph->outputs()[0]->producer();
  ASSERT_NE(reshape->input(1)->constant(), nullptr);
  EXPECT_EQ(to_int64s(*reshape->input(1)->constant()), (std::vector<int64_t>{0, -1}));
  EXPECT_EQ(reshape->attribute("allowzero"), nullptr);
}

// Swapped, the two unknown extents are in no place to be copied from.
TEST(FoldConstants, LeavesATargetOfTwoUnknowns) {
  expect_untouched(
      make_model([](GraphBuilder& b) {
        Value* x = b.input("x", {Dim::named("N"), Dim::named("T"), 4});
        Value* shape = b.node("shape", "Shape", {x});
        Value* places = b.ints("places", {1, 0, 2});
        Value* target = b.node("target", "Gather", {shape, places}, {{"axis", int64_t{0}}});
        b.output(b.node("y", "Reshape", {x, target}));
      }),
      "fold-constants");
}

TEST(FoldConstants, LeavesWhatWouldGrowTheModel) {
  const Model model = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {64, 64});
    Value* small = b.floats("small", {1, 64}, std::vector<float>(64, 2));
    Value* shape = b.ints("shape", {64, 64});
    Value* large = b.node("large", "Expand", {small, shape});
    b.output(b.node("y", "Concat", {x, large}, {{"axis", int64_t{0}}}));
  });
  expect_untouched(model, "fold-constants", {{"size-cap", int64_t{4096}}});
  EXPECT_EQ(ops_of(*run_checked(model, "fold-constants").graph), "Concat");
}

// `count` products of %x and a table of cosines, [64,32], which a column and a row make.
Model tables(int count) {
  return make_model([&](GraphBuilder& b) {
    Value* x = b.input("x", {64, 32});
    Value* column = b.constant("column", Tensor::allocate(DType::kInt64, {64, 1}));
    Value* row = b.constant("row", Tensor::allocate(DType::kInt64, {1, 32}));
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(i);
      Value* angle = b.node("whole" + n, "Mul", {column, row});
      Value* real = b.node("real" + n, "Cast", {angle}, {{"to", int64_t{1}}});
      Value* shifted = b.node("shifted" + n, "Add", {real, b.floats("shift" + n, {1}, {1.0f * i})});
      b.output(b.node("y" + n, "Mul", {x, b.node("table" + n, "Cos", {shifted})}));
    }
  });
}

// What is made on the way may take more than what comes of it, and goes.
TEST(FoldConstants, TablesAreFoldedWholeOrNotAtAll) {
  EXPECT_EQ(ops_of(*run_checked(tables(1), "fold-constants").graph), "Mul");
  EXPECT_EQ(ops_of(*run_checked(tables(2), "fold-constants").graph), "Mul Mul");
  expect_untouched(tables(3), "fold-constants");
  const Model all = run_checked(tables(3), "fold-constants", {{"growth-cap", 100.0}});
  EXPECT_EQ(ops_of(*all.graph), "Mul Mul Mul");
}

TEST(FoldConstants, LeavesTheTransposeOfTiedWeights) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {3}, DType::kInt64);
                     Value* table = b.ramp("table", {64, 32}, -1, 0.001f);
                     Value* rows = b.node("rows", "Gather", {table, x});
                     Value* columns = b.node("columns", "Transpose", {table});
                     b.output(b.node("y", "MatMul", {rows, columns}));
                   }),
                   "fold-constants");
}

TEST(FoldConstants, LeavesCompressedWeights) {
  expect_untouched(make_model([](GraphBuilder& b) {
                     Value* x = b.input("x", {Dim::named("N"), 16});
                     std::vector<uint8_t> indices(16 * 16);
                     for (size_t i = 0; i < indices.size(); ++i) indices[i] = i % 4;
                     Value* stored = b.constant("stored", Tensor::of<uint8_t>({16, 16}, indices));
                     Value* codebook = b.floats("codebook", {4}, {-1, 0, 1, 2});
                     Value* wide = b.node("wide", "Cast", {stored},
                                          {{"to", static_cast<int64_t>(DType::kInt32)}});
                     Value* w = b.node("w", "Gather", {codebook, wide});
                     b.output(b.node("y", "MatMul", {x, w}));
                   }),
                   "fold-constants");
}

TEST(FoldConstants, WorksInNestedGraphs) {
  const Model before = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    Value* shape = b.node("shape", "Shape", {x});
    Value* filled = b.node("filled", "ConstantOfShape", {shape},
                           {{"value", Tensor::of<float>({1}, std::vector<float>{3})}});
    b.output(b.node("sum", "Add", {x, filled}));
  });
  const Model after = make_nested_model({2, 3}, [](GraphBuilder& b, Value* x) {
    Value* filled = b.floats("filled", {2, 3}, std::vector<float>(6, 3));
    b.output(b.node("sum", "Add", {x, filled}));
  });
  expect_pass(before, "fold-constants", after);
}

TEST(FoldConstants, InlinesABranchThatIsAlwaysTaken) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2, 3});
    Value* condition = b.constant("condition", Tensor::scalar(true));
    Value* y = b.node("y", "If", {condition});
    GraphBuilder taken = b.nested("then_branch");
    taken.output(taken.node("r", "Relu", {x}));
    GraphBuilder other = b.nested("else_branch");
    other.output(other.node("s", "Sigmoid", {x}));
    b.output(b.node("z", "Neg", {y}));
  });
  const Model model = run_checked(before, "fold-constants");
  EXPECT_EQ(ops_of(*model.graph), "Relu Neg");
  EXPECT_NE(model.graph->find("y"), nullptr);
}

// Exporters cast constants to the dtype of an input so.
TEST(FoldConstants, ReadsOnlyTheTypeOfWhatACastIsLike) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {3});
    Value* one = b.node("one", "CastLike", {b.ints("k", {1}), x});
    b.output(b.node("y", "Add", {x, one}));
  });
  const Model after = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {3});
    b.output(b.node("y", "Add", {x, b.floats("one", {1}, {1})}));
  });
  expect_pass(before, "fold-constants", after);
}

TEST(FoldConstants, LeavesRandomNodes) {
  Model model = make_model([](GraphBuilder& b) {
    Value* ones = b.floats("ones", {4}, {1, 1, 1, 1});
    Value* noise = b.node("noise", "RandomNormalLike", {ones});
    b.output(b.node("y", "Add", {b.input("x", {4}), noise}));
  });
  passes::PassContext context;
  passes::make_pass("fold-constants")->run(model, context);
  EXPECT_EQ(ops_of(*model.graph), "RandomNormalLike Add");
}

TEST(FoldConstants, SaysThatItWroteATypeDown) {
  Model model = make_model([](GraphBuilder& b) {
    b.output(b.node("y", "Relu", {b.input("x", {2, 3})}));
  });
  passes::PassContext context;
  const auto run = [&] { return passes::make_pass("fold-constants")->run(model, context); };
  EXPECT_EQ(run().counts.at("types"), 1);
  EXPECT_FALSE(run().changed);
}

TEST(FoldConstants, KeepsTheNameOfAConstantOutput) {
  const Model before = make_model([](GraphBuilder& b) {
    Value* x = b.input("x", {2});
    Value* c = b.floats("c", {2}, {1, 2});
    b.output(b.node("y", "Neg", {c}));
    b.output(b.node("z", "Neg", {x}));
  });
  const Model model = run_checked(before, "fold-constants");
  EXPECT_EQ(ops_of(*model.graph), "Identity Neg");
  EXPECT_EQ(model.graph->outputs()[0]->name(), "y");
}

}  // namespace
}  // namespace dwindle::testing
