// Einsum, and Det.
//
// An equation is worked off from left to right: what has been computed so far is contracted with
// the next operand, and every label that neither the output nor a later operand needs is summed
// away as early as can be. A contraction is one batched matrix product: labels of both operands
// that stay are the batch, those of both that go are what is summed over, and the rest are rows
// and columns. Bringing an operand into that order is one strided copy, which also takes diagonals
// (a repeated label), repeats axes of extent 1, and sums labels that only that operand has.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "core/ops/dispatch.h"
#include "core/ops/families.h"
#include "core/ops/matrix.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// A letter, or an axis of the ellipsis: -1 for its last, -2 for the one before.
using Label = int;
using Labels = std::vector<Label>;

struct Equation {
  std::vector<Labels> operands;
  Labels output;
};

[[noreturn]] void refuse(const Node& node, const std::string& what) {
  throw BadModel("Einsum node '" + node.name + "': " + what);
}

// `rank` is that of the operand, which says how many axes the ellipsis stands for.
Labels parse_term(const Node& node, const std::string& term, int64_t rank) {
  Labels labels;
  const size_t dots = term.find("...");
  const auto letters = static_cast<int64_t>(term.size()) - (dots == std::string::npos ? 0 : 3);
  if (dots == std::string::npos ? letters != rank : letters > rank) {
    refuse(node, "'" + term + "' does not fit rank " + std::to_string(rank));
  }
  for (size_t i = 0; i < term.size(); ++i) {
    if (i == dots) {
      for (int64_t k = rank - letters; k > 0; --k) labels.push_back(static_cast<Label>(-k));
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(term[i])) != 0) {
      labels.push_back(term[i]);
    } else {
      refuse(node, "'" + term + "' is no term");
    }
  }
  return labels;
}

Labels implicit_output(const std::vector<Labels>& operands) {
  std::map<Label, int> counts;  // in order: the ellipsis first, then letters by their code
  for (const Labels& labels : operands) {
    for (Label label : labels) ++counts[label];
  }
  Labels output;
  for (const auto& [label, count] : counts) {
    if (label < 0 || count == 1) output.push_back(label);
  }
  return output;
}

Equation parse_equation(const Node& node, const std::vector<int64_t>& ranks) {
  std::string text = node.string_attribute("equation", "");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  Equation equation;
  size_t begin = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    const size_t comma = left.find(',', begin);
    if ((comma == std::string::npos) != (i + 1 == ranks.size())) {
      refuse(node, "'" + text + "' does not have " + std::to_string(ranks.size()) + " operands");
    }
    equation.operands.push_back(parse_term(node, left.substr(begin, comma - begin), ranks[i]));
    begin = comma + 1;
  }
  if (arrow == std::string::npos) {
    equation.output = implicit_output(equation.operands);
    return equation;
  }
  const std::string right = text.substr(arrow + 2);
  std::set<Label> known;
  for (const Labels& labels : equation.operands) known.insert(labels.begin(), labels.end());
  const int64_t ellipsis = std::count_if(known.begin(), known.end(), [](Label l) { return l < 0; });
  const bool dotted = right.find("...") != std::string::npos;
  const int64_t rank = static_cast<int64_t>(right.size()) + (dotted ? ellipsis - 3 : 0);
  equation.output = parse_term(node, right, rank);
  std::set<Label> seen;
  for (Label label : equation.output) {
    if (!known.contains(label) || !seen.insert(label).second) {
      refuse(node, "the output of '" + text + "' has a label twice or that no operand has");
    }
  }
  return equation;
}

void infer_einsum(InferContext& c) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.node().num_inputs(); ++i) {
    if (!c.rank(i)) return c.set_output(0, c.dtype(0));
    ranks.push_back(*c.rank(i));
  }
  const Equation equation = parse_equation(c.node(), ranks);
  std::map<Label, Dim> extents;
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (size_t k = 0; k < equation.operands[i].size(); ++k) {
      const Dim& dim = (*c.shape(i))[k];
      auto [it, added] = extents.emplace(equation.operands[i][k], dim);
      // A known extent beats an unknown one, and 1 repeats.
      const bool better =
          !it->second.known() ? dim.known() && dim.extent != 1 : it->second.extent == 1;
      if (!added && better) it->second = dim;
      if (!added && !dim.known() && it->second.extent == 1) it->second = dim;
    }
  }
  Shape shape;
  for (Label label : equation.output) shape.push_back(extents.at(label));
  c.set_output(0, c.dtype(0), shape);
}

// --- Computing --------------------------------------------------------------------------------

template <typename T>
class Einsum {
 public:
  explicit Einsum(KernelContext& c) : c_(c) {
    std::vector<int64_t> ranks;
    for (size_t i = 0; i < c.num_inputs(); ++i) ranks.push_back(c.input(i).rank());
    equation_ = parse_equation(c.node(), ranks);
    for (size_t i = 0; i < ranks.size(); ++i) {
      for (size_t k = 0; k < equation_.operands[i].size(); ++k) {
        const int64_t extent = c.input(i).shape()[k];
        int64_t& common = extents_.emplace(equation_.operands[i][k], 1).first->second;
        if (extent == common || extent == 1) continue;
        if (common != 1) c.fail("operands differ in an extent that they share");
        common = extent;
      }
    }
  }

  Tensor run() {
    Operand result{c_.input(0), equation_.operands[0]};
    for (size_t i = 1; i < equation_.operands.size(); ++i) {
      result = contract(result, {c_.input(i), equation_.operands[i]}, i + 1);
    }
    return gathered(result, equation_.output);
  }

 private:
  struct Operand {
    Tensor tensor;
    Labels labels;
  };

  Dims dims_of(const Labels& labels) const {
    Dims dims;
    for (Label label : labels) dims.push_back(extents_.at(label));
    return dims;
  }

  // Whether the output or an operand from `next` on has the label.
  bool needed(Label label, size_t next) const {
    auto has = [label](const Labels& labels) {
      return std::find(labels.begin(), labels.end(), label) != labels.end();
    };
    return has(equation_.output) ||
           std::any_of(equation_.operands.begin() + static_cast<int64_t>(next),
                       equation_.operands.end(), has);
  }

  // The operand with its axes as `labels`, in full extent; its other labels are summed away.
  Tensor gathered(const Operand& from, const Labels& labels) const {
    if (labels == from.labels && from.tensor.shape() == dims_of(labels)) return from.tensor;
    std::map<Label, int64_t> strides;
    std::map<Label, int64_t> summed;  // own extents of labels that go
    const Dims& shape = from.tensor.shape();
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      const Label label = from.labels[i];
      int64_t& step = strides[label];
      if (shape[i] != 1) step += stride;
      if (std::find(labels.begin(), labels.end(), label) == labels.end()) {
        summed[label] = std::max(shape[i], summed.emplace(label, 1).first->second);
        if (shape[i] == 0) summed[label] = 0;
      }
      stride *= shape[i];
    }
    struct Axis {
      int64_t extent, stride;
    };
    std::vector<Axis> axes, sums;
    for (Label label : labels) axes.push_back({extents_.at(label), strides[label]});
    for (const auto& [label, extent] : summed) sums.push_back({extent, strides[label]});
    auto offset_of = [](const std::vector<Axis>& of, int64_t index) {
      int64_t offset = 0;
      for (size_t k = of.size(); k-- > 0;) {
        offset += index % of[k].extent * of[k].stride;
        index /= of[k].extent;
      }
      return offset;
    };
    int64_t terms = 1;
    for (const Axis& axis : sums) terms *= axis.extent;
    std::vector<int64_t> term_offsets;
    for (int64_t i = 0; i < terms; ++i) term_offsets.push_back(offset_of(sums, i));
    Tensor out = Tensor::allocate(DTypeOf<T>::value, dims_of(labels));
    T* to = out.mutable_data<T>();
    const T* in = from.tensor.template data<T>();
    const Axis last = axes.empty() ? Axis{1, 0} : axes.back();
    for (int64_t i = 0; i < out.size(); i += last.extent) {
      const int64_t base = offset_of(axes, i);
      for (int64_t k = 0; k < last.extent; ++k) {
        T sum{0};
        for (int64_t term : term_offsets)
          sum = wrapping_add(sum, in[base + k * last.stride + term]);
        to[i + k] = sum;
      }
    }
    return out;
  }

  static Labels join(const Labels& a, const Labels& b, const Labels& c = {}) {
    Labels joined = a;
    joined.insert(joined.end(), b.begin(), b.end());
    joined.insert(joined.end(), c.begin(), c.end());
    return joined;
  }

  Operand contract(const Operand& a, const Operand& b, size_t next) const {
    const std::set<Label> in_a(a.labels.begin(), a.labels.end());
    const std::set<Label> in_b(b.labels.begin(), b.labels.end());
    Labels batch, inner, rows, columns;
    for (Label label : in_a) {
      const bool keep = needed(label, next);
      if (in_b.contains(label)) (keep ? batch : inner).push_back(label);
      if (!in_b.contains(label) && keep) rows.push_back(label);
    }
    for (Label label : in_b) {
      if (!in_a.contains(label) && needed(label, next)) columns.push_back(label);
    }
    const Tensor left = gathered(a, join(batch, rows, inner));
    const Tensor right = gathered(b, join(batch, inner, columns));
    const int64_t m = element_count(dims_of(rows)), k = element_count(dims_of(inner));
    const int64_t n = element_count(dims_of(columns));
    const Labels labels = join(batch, rows, columns);
    Tensor out = Tensor::allocate(DTypeOf<T>::value, dims_of(labels));
    T* to = out.mutable_data<T>();
    for (int64_t i = 0; i < element_count(dims_of(batch)); ++i) {
      multiply(MatrixProduct<T>{left.data<T>() + i * m * k, right.data<T>() + i * k * n,
                                to + i * m * n, m, n, k});
    }
    return {out, labels};
  }

  KernelContext& c_;
  Equation equation_;
  std::map<Label, int64_t> extents_;
};

void einsum(KernelContext& c) {
  if (c.num_inputs() == 0) c.fail("it has no operands");
  for (size_t i = 1; i < c.num_inputs(); ++i) {
    if (c.input(i).dtype() != c.input(0).dtype()) c.fail("its inputs differ in dtype");
  }
  dispatch(c, WideTypes{}, c.input(0).dtype(),
           [&]<typename T>(TypeTag<T>) { c.set_output(0, Einsum<T>(c).run()); });
}

Kernel einsum_kernel(const Node&, int) { return einsum; }

// --- Det --------------------------------------------------------------------------------------

// By elimination with the largest pivot of each column; destroys `a`.
double determinant(std::vector<double>& a, size_t n) {
  double product = 1;
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t r = k + 1; r < n; ++r) {
      if (std::abs(a[r * n + k]) > std::abs(a[pivot * n + k])) pivot = r;
    }
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      std::swap_ranges(a.begin() + static_cast<int64_t>(k * n),
                       a.begin() + static_cast<int64_t>((k + 1) * n),
                       a.begin() + static_cast<int64_t>(pivot * n));
      product = -product;
    }
    product *= a[k * n + k];
    for (size_t r = k + 1; r < n; ++r) {
      const double factor = a[r * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j) a[r * n + j] -= factor * a[k * n + j];
    }
  }
  return product;
}

Kernel det_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Tensor& x = c.input(0);
    const Dims& shape = x.shape();
    if (x.rank() < 2 || shape.back() != shape[shape.size() - 2]) {
      c.fail("input " + to_string(shape) + " holds no square matrices");
    }
    const auto n = static_cast<size_t>(shape.back());
    dispatch(c, FloatTypes{}, x.dtype(), [&]<typename T>(TypeTag<T>) {
      Tensor& out = c.output(0, x.dtype(), Dims(shape.begin(), shape.end() - 2));
      T* to = out.mutable_data<T>();
      const T* from = x.data<T>();
      for (int64_t i = 0; i < out.size(); ++i) {
        std::vector<double> matrix(from, from + n * n);
        from += n * n;
        to[i] = static_cast<T>(determinant(matrix, n));
      }
    });
  };
}

void infer_det(InferContext& c) {
  const auto& shape = c.shape(0);
  if (!shape || shape->size() < 2) return c.set_output(0, c.dtype(0));
  c.set_output(0, c.dtype(0), Shape(shape->begin(), shape->end() - 2));
}

}  // namespace

std::span<const OpRow> einsum_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Einsum", 12, infer_einsum, einsum_kernel},
      {"", "Det", 11, infer_det, det_kernel},
  };
  return kRows;
}

}  // namespace dwindle
