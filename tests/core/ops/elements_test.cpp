// Known elements: the shape arithmetic that exporters leave in a graph.
#include <gtest/gtest.h>

#include "core/ops/infer.h"

namespace dwindle {
namespace {

class ElementsTest : public ::testing::Test {
 protected:
  ElementsTest() {
    model_.opsets[""] = 17;
    Value* x = graph().add_input(graph().add_value("x"));
    x->type = {DType::kFloat, Shape{Dim::named("batch"), Dim(6), Dim(8)}, ""};
    shape_ = add("Shape", {x});
  }

  Graph& graph() { return *model_.graph; }
  Value* add(const std::string& type, const std::vector<Value*>& inputs) {
    return graph().add_node(type, inputs)->output();
  }
  Value* constant(std::vector<int64_t> values) {
    const Dims dims = {static_cast<int64_t>(values.size())};
    return graph().add_initializer("c", Tensor::of<int64_t>(dims, values));
  }
  // "batch 3 ?" of what is known of a value's elements.
  std::string known(Value* value) {
    ShapeInference inference(model_);
    inference.run();
    const Elements* elements = inference.elements(value);
    if (elements == nullptr) return "nothing";
    std::string text;
    for (const Element& e : *elements) {
      text += (text.empty() ? "" : " ") + (e.exact            ? std::to_string(*e.exact)
                                           : e.symbol.empty() ? "?"
                                                              : e.symbol);
    }
    return text;
  }

  Model model_;
  Value* shape_;
};

TEST_F(ElementsTest, ArithmeticKeepsWhatIsNeutral) {
  EXPECT_EQ(known(add("Mul", {shape_, constant({1})})), "batch 6 8");
  EXPECT_EQ(known(add("Add", {shape_, constant({0, 1, 2})})), "batch 7 10");
  EXPECT_EQ(known(add("Sub", {shape_, shape_})), "0 0 0");
  EXPECT_EQ(known(add("Div", {shape_, constant({2})})), "? 3 4");
  EXPECT_EQ(known(add("Mod", {shape_, constant({4})})), "? 2 0");
  EXPECT_EQ(known(add("Min", {shape_, constant({7})})), "? 6 7");
}

// What PyTorch exports for expand: where(equal(shape, -1), 1, shape).
TEST_F(ElementsTest, AnExtentIsNeverNegative) {
  Value* equal = add("Equal", {shape_, constant({-1})});
  EXPECT_EQ(known(equal), "0 0 0");
  EXPECT_EQ(known(add("Where", {equal, constant({1, 1, 1}), shape_})), "batch 6 8");
  EXPECT_EQ(known(add("Equal", {shape_, constant({6})})), "? 1 0");
}

TEST_F(ElementsTest, CastAndReduction) {
  Node* cast = graph().add_node("Cast", {shape_});
  cast->set_attribute("to", static_cast<int64_t>(DType::kInt32));
  EXPECT_EQ(known(cast->output()), "batch 6 8");
  EXPECT_EQ(known(add("ReduceProd", {constant({2, 3, 4})})), "24");
  EXPECT_EQ(known(add("ReduceProd", {shape_})), "nothing");
}

}  // namespace
}  // namespace dwindle
