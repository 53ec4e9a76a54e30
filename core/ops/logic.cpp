// Comparison, selection and bits: And, Or, Xor, Not, Equal, Less, Greater, LessOrEqual,
// GreaterOrEqual, Where, BitShift, BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot.
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

// Bools are read as bytes, since a file may hold a byte that is neither 0 nor 1.

void expect_same_type(const KernelContext& c, size_t first, size_t second) {
  if (c.input(first).dtype() == c.input(second).dtype()) return;
  c.fail("its inputs are " + std::string(dtype_name(c.input(first).dtype())) + " and " +
         std::string(dtype_name(c.input(second).dtype())));
}

template <typename T, typename Op>
void write_predicate(KernelContext& c, const T* a, const T* b) {
  const Broadcast<2> loop(c, {&c.input(0).shape(), &c.input(1).shape()});
  Tensor& out = c.output(0, DType::kBool, loop.shape());
  broadcast_binary(loop, a, b, out.mutable_data<uint8_t>(), Op());
}

// --- And, Or, Xor, Not ------------------------------------------------------------------------

struct AndOp {
  uint8_t operator()(uint8_t a, uint8_t b) const { return (a != 0) & (b != 0); }
};
struct OrOp {
  uint8_t operator()(uint8_t a, uint8_t b) const { return (a != 0) | (b != 0); }
};
struct XorOp {
  uint8_t operator()(uint8_t a, uint8_t b) const { return (a != 0) ^ (b != 0); }
};

void expect_bool(const KernelContext& c, const Tensor& tensor) {
  if (tensor.dtype() != DType::kBool) {
    c.fail("wants bools, got " + std::string(dtype_name(tensor.dtype())));
  }
}

template <typename Op>
Kernel logical_kernel(const Node&, int) {
  return [](KernelContext& c) {
    expect_bool(c, c.input(0));
    expect_bool(c, c.input(1));
    write_predicate<uint8_t, Op>(c, c.input(0).data<uint8_t>(), c.input(1).data<uint8_t>());
  };
}

void infer_logical(InferContext& c) { c.set_output(0, DType::kBool, infer_broadcast(c)); }

Kernel not_kernel(const Node&, int) {
  return [](KernelContext& c) {
    const Tensor& x = c.input(0);
    expect_bool(c, x);
    const uint8_t* in = x.data<uint8_t>();
    uint8_t* out = c.output(0, DType::kBool, x.shape()).mutable_data<uint8_t>();
    for (int64_t i = 0; i < x.size(); ++i) out[i] = in[i] == 0;
  };
}

void infer_not(InferContext& c) {
  infer_predicate(c);
  auto elements = c.elements(0);
  if (!elements) return;
  for (Element& element : *elements) {
    if (element.exact) element.exact = *element.exact == 0;
  }
  c.set_elements(0, std::move(*elements));
}

// --- Comparison -------------------------------------------------------------------------------

struct EqualOp {
  template <typename T>
  uint8_t operator()(T a, T b) const {
    return a == b;
  }
};
struct LessOp {
  template <typename T>
  uint8_t operator()(T a, T b) const {
    return a < b;
  }
};
struct GreaterOp {
  template <typename T>
  uint8_t operator()(T a, T b) const {
    return a > b;
  }
};
struct LessOrEqualOp {
  template <typename T>
  uint8_t operator()(T a, T b) const {
    return a <= b;
  }
};
struct GreaterOrEqualOp {
  template <typename T>
  uint8_t operator()(T a, T b) const {
    return a >= b;
  }
};

void equal_strings(KernelContext& c) {
  const auto& a = c.input(0).string_values();
  const auto& b = c.input(1).string_values();
  const Broadcast<2> loop(c, {&c.input(0).shape(), &c.input(1).shape()});
  uint8_t* out = c.output(0, DType::kBool, loop.shape()).mutable_data<uint8_t>();
  loop.for_each_run(kElementGrain, [&](int64_t at, const auto& from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const auto x = static_cast<size_t>(from[0] + (loop.steps(0) ? i : 0));
      const auto y = static_cast<size_t>(from[1] + (loop.steps(1) ? i : 0));
      out[at + i] = a[x] == b[y];
    }
  });
}

template <typename Op>
Kernel compare_kernel(const Node&, int) {
  return [](KernelContext& c) {
    expect_same_type(c, 0, 1);
    const DType dtype = c.input(0).dtype();
    if constexpr (std::is_same_v<Op, EqualOp>) {
      if (dtype == DType::kString) return equal_strings(c);
      if (dtype == DType::kBool) {
        // Two bools are equal where both are or neither is zero.
        struct SameTruth {
          uint8_t operator()(uint8_t a, uint8_t b) const { return (a != 0) == (b != 0); }
        };
        return write_predicate<uint8_t, SameTruth>(c, c.input(0).data<uint8_t>(),
                                                   c.input(1).data<uint8_t>());
      }
    }
    dispatch(c, NumberTypes{}, dtype, [&]<typename T>(TypeTag<T>) {
      write_predicate<T, Op>(c, c.input(0).data<T>(), c.input(1).data<T>());
    });
  };
}

// An extent, even an unknown one, is not negative.
Element equal_elements(const Element& a, const Element& b) {
  if (a.exact && b.exact) return {*a.exact == *b.exact, ""};
  if (!a.symbol.empty() && (a == b || (b.exact && *b.exact < 0))) return {a == b, ""};
  if (!b.symbol.empty() && a.exact && *a.exact < 0) return {0, ""};
  return {};
}

template <typename Op>
Element compare_elements(const Element& a, const Element& b) {
  if (!a.exact || !b.exact) return {};
  return {Op()(*a.exact, *b.exact), ""};
}

template <ElementFunction function>
void infer_compare(InferContext& c) {
  infer_logical(c);
  infer_elements(c, function);
}

// --- Where ------------------------------------------------------------------------------------

struct Wide {  // the bytes of a complex128
  uint64_t low, high;
};

template <typename T>
void select(KernelContext& c, const Broadcast<3>& loop, const T* x, const T* y, T* out) {
  const uint8_t* condition = c.input(0).data<uint8_t>();
  const int64_t step_c = loop.steps(0), step_x = loop.steps(1), step_y = loop.steps(2);
  loop.for_each_run(kElementGrain, [&](int64_t at, const auto& from, int64_t count) {
    const uint8_t* cs = condition + from[0];
    const T* xs = x + from[1];
    const T* ys = y + from[2];
    T* to = out + at;
    if (step_c == 1 && step_x == 1 && step_y == 1) {
      for (int64_t i = 0; i < count; ++i) to[i] = cs[i] != 0 ? xs[i] : ys[i];
    } else {
      for (int64_t i = 0; i < count; ++i) {
        to[i] = cs[i * step_c] != 0 ? xs[i * step_x] : ys[i * step_y];
      }
    }
  });
}

template <typename T>
void select_bytes(KernelContext& c, const Broadcast<3>& loop) {
  Tensor& out = c.output(0, c.input(1).dtype(), loop.shape());
  select(c, loop, reinterpret_cast<const T*>(c.input(1).bytes()),
         reinterpret_cast<const T*>(c.input(2).bytes()), reinterpret_cast<T*>(out.mutable_bytes()));
}

void where_op(KernelContext& c) {
  expect_bool(c, c.input(0));
  expect_same_type(c, 1, 2);
  const Broadcast<3> loop(c, {&c.input(0).shape(), &c.input(1).shape(), &c.input(2).shape()});
  const DType dtype = c.input(1).dtype();
  if (dtype == DType::kString) {
    auto& out = c.output(0, dtype, loop.shape()).mutable_strings();
    return select(c, loop, c.input(1).string_values().data(), c.input(2).string_values().data(),
                  out.data());
  }
  switch (dtype_bits(dtype)) {
    case 8:
      return select_bytes<uint8_t>(c, loop);
    case 16:
      return select_bytes<uint16_t>(c, loop);
    case 32:
      return select_bytes<uint32_t>(c, loop);
    case 64:
      return select_bytes<uint64_t>(c, loop);
    case 128:
      return select_bytes<Wide>(c, loop);
    default:
      c.unsupported("data of type " + std::string(dtype_name(dtype)));
  }
}

Kernel where_kernel(const Node&, int) { return where_op; }

void infer_where(InferContext& c) {
  c.set_output(0, c.dtype(1), infer_broadcast(c));
  if (!is_integer(c.dtype(1)) && c.dtype(1) != DType::kBool) return;
  for (size_t i = 0; i < 3; ++i) {
    if (c.rank(i).value_or(2) > 1) return;
  }
  const auto condition = c.elements(0), x = c.elements(1), y = c.elements(2);
  if (!condition || !x || !y) return;
  const size_t count = std::max({condition->size(), x->size(), y->size()});
  for (const auto* each : {&*condition, &*x, &*y}) {
    if (each->size() != count && each->size() != 1) return;
  }
  auto at = [](const Elements& from, size_t i) { return from[from.size() == 1 ? 0 : i]; };
  Elements out;
  for (size_t i = 0; i < count; ++i) {
    const Element chosen = at(*condition, i);
    const Element yes = at(*x, i), no = at(*y, i);
    if (chosen.exact) {
      out.push_back(*chosen.exact != 0 ? yes : no);
    } else {
      out.push_back(yes == no ? yes : Element{});
    }
  }
  c.set_elements(0, std::move(out));
}

// --- Bits -------------------------------------------------------------------------------------

struct BitAndOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitOrOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitXorOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

// Shifting out every bit leaves none, or for a negative number shifted right the sign. A negative
// amount counts as its unsigned pattern: more than any width.
struct ShiftLeftOp {
  template <typename T>
  T operator()(T a, T by) const {
    using U = std::make_unsigned_t<T>;
    if (static_cast<U>(by) >= sizeof(T) * 8) return 0;
    return static_cast<T>(static_cast<uint64_t>(static_cast<U>(a)) << static_cast<U>(by));
  }
};
struct ShiftRightOp {
  template <typename T>
  T operator()(T a, T by) const {
    using U = std::make_unsigned_t<T>;
    if (static_cast<U>(by) >= sizeof(T) * 8) return static_cast<T>(a < 0 ? -1 : 0);
    return static_cast<T>(a >> static_cast<U>(by));
  }
};

template <typename Op>
void run_bits(KernelContext& c) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  expect_same_type(c, 0, 1);
  dispatch(c, IntegerTypes{}, a.dtype(), [&]<typename T>(TypeTag<T>) {
    const Broadcast<2> loop(c, {&a.shape(), &b.shape()});
    T* out = c.output(0, a.dtype(), loop.shape()).template mutable_data<T>();
    broadcast_binary(loop, a.data<T>(), b.data<T>(), out, Op());
  });
}

template <typename Op>
Kernel bits_kernel(const Node&, int) {
  return run_bits<Op>;
}

Kernel bit_shift_kernel(const Node& node, int) {
  const std::string direction = node.string_attribute("direction", "");
  if (direction == "LEFT") return run_bits<ShiftLeftOp>;
  if (direction == "RIGHT") return run_bits<ShiftRightOp>;
  throw BadModel("BitShift node '" + node.name + "': direction is '" + direction +
                 "', not LEFT or RIGHT");
}

struct BitNot {
  explicit BitNot(const Node&) {}
  template <typename T>
  T apply(T x) const {
    return static_cast<T>(~x);
  }
};

}  // namespace

std::span<const OpRow> logic_ops() {
  static constexpr OpRow kRows[] = {
      {"", "And", 7, infer_logical, logical_kernel<AndOp>, 0, kElementwise},
      {"", "Or", 7, infer_logical, logical_kernel<OrOp>, 0, kElementwise},
      {"", "Xor", 7, infer_logical, logical_kernel<XorOp>, 0, kElementwise},
      {"", "Not", 1, infer_not, not_kernel, 0, kElementwise},
      {"", "Equal", 7, infer_compare<equal_elements>, compare_kernel<EqualOp>, 0, kElementwise},
      {"", "Less", 7, infer_compare<compare_elements<LessOp>>, compare_kernel<LessOp>, 0,
       kElementwise},
      {"", "Greater", 7, infer_compare<compare_elements<GreaterOp>>, compare_kernel<GreaterOp>, 0,
       kElementwise},
      {"", "LessOrEqual", 12, infer_compare<compare_elements<LessOrEqualOp>>,
       compare_kernel<LessOrEqualOp>, 0, kElementwise},
      {"", "GreaterOrEqual", 12, infer_compare<compare_elements<GreaterOrEqualOp>>,
       compare_kernel<GreaterOrEqualOp>, 0, kElementwise},
      {"", "Where", 9, infer_where, where_kernel, 0, kElementwise, kNative},
      {"", "BitShift", 11, infer_broadcast_same, bit_shift_kernel, 0, kElementwise},
      {"", "BitwiseAnd", 18, infer_broadcast_same, bits_kernel<BitAndOp>, 0, kElementwise},
      {"", "BitwiseOr", 18, infer_broadcast_same, bits_kernel<BitOrOp>, 0, kElementwise},
      {"", "BitwiseXor", 18, infer_broadcast_same, bits_kernel<BitXorOp>, 0, kElementwise},
      {"", "BitwiseNot", 18, infer_same, unary_kernel<PerElement<BitNot>, IntegerTypes>, 0,
       kElementwise},
  };
  return kRows;
}

}  // namespace dwindle
