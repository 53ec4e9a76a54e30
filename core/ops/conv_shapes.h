// What all convolutions ask of the shapes of their inputs, and make of them.
#pragma once

#include <string>

#include "core/ops/infer.h"
#include "core/ops/window.h"

namespace dwindle {

// Checks x [N, C, ...] against w [M, C / groups, ...], as far as their shapes are known, and
// returns the number of groups. `Context` is an InferContext or a KernelContext; raises through its
// fail().
template <typename Context>
int64_t checked_groups(const Context& c, const Shape& x, const Shape& w) {
  const int64_t groups = c.node().int_attribute("group", 1);
  if (x.size() < 3 || x.size() != w.size()) c.fail("the input and the weights differ in rank");
  if (groups < 1) c.fail("group is out of range");
  if (x[1].known() && w[1].known() && x[1].extent != w[1].extent * groups) {
    c.fail("the input has " + std::to_string(x[1].extent) + " channels, the weights take " +
           std::to_string(w[1].extent) + " in each of " + std::to_string(groups) + " groups");
  }
  if (w[0].known() && w[0].extent % groups != 0) {
    c.fail("group does not divide the output channels");
  }
  return groups;
}

// [N, M, windows along each axis] of checked shapes, as far as they are known.
Shape conv_output_shape(const Node& node, const Shape& x, const Shape& w);

}  // namespace dwindle
