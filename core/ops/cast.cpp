// Cast, CastLike, BitCast: any dtype to any other.
//
// A value takes three steps: dtypes that C++ has no arithmetic for (halves, float8 and smaller,
// packed integers, bools, strings) are widened to one that it has; that is converted; the result is
// narrowed to the dtype asked for. Each step is the identity for most pairs.
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "core/ir/small_float.h"
#include "core/ops/elementwise.h"
#include "core/ops/families.h"
#include "core/ops/half.h"
#include "core/quant/params.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

bool is_small_float(DType dtype) {
  return dtype == DType::kFloat8E8M0 || small_float(dtype) != nullptr;
}

bool is_packed_integer(DType dtype) { return is_integer(dtype) && dtype_bits(dtype) < 8; }

// --- Conversion -------------------------------------------------------------------------------

// Reals become integers by truncation. ONNX leaves open what happens to those out of range; here it
// is what x86 does, on every machine: the least integer of 32 or 64 bits, cut to the target's.
template <typename To, typename From>
To truncated(From x) {
  if constexpr (sizeof(To) == 8 || std::is_same_v<To, uint32_t>) {
    if (std::is_same_v<To, uint64_t> && x >= From(0x1p63) && x < From(0x1p64)) {
      return static_cast<To>(static_cast<uint64_t>(x));
    }
    const bool fits = x >= From(-0x1p63) && x < From(0x1p63);
    return static_cast<To>(fits ? static_cast<int64_t>(x) : std::numeric_limits<int64_t>::min());
  } else {
    const bool fits = x > From(-0x1p31) - 1 && x < From(0x1p31);
    return static_cast<To>(fits ? static_cast<int32_t>(x) : std::numeric_limits<int32_t>::min());
  }
}

template <typename To, typename From>
To converted(From x) {
  if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
    return truncated<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

// `from` has one of NumberTypes.
template <typename To>
Tensor convert_to(const Tensor& from) {
  if (from.dtype() == DTypeOf<To>::value) return from;
  Tensor out = Tensor::allocate(DTypeOf<To>::value, from.shape());
  To* to = out.mutable_data<To>();
  with_type(NumberTypes{}, from.dtype(), [&]<typename From>(TypeTag<From>) {
    const From* in = from.data<From>();
    parallel_for(from.size(), kElementGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = converted<To>(in[i]);
    });
  });
  return out;
}

Tensor convert_to_bool(const Tensor& from) {
  Tensor out = Tensor::allocate(DType::kBool, from.shape());
  uint8_t* to = out.mutable_data<uint8_t>();
  with_type(NumberTypes{}, from.dtype(), [&]<typename From>(TypeTag<From>) {
    const From* in = from.data<From>();
    for (int64_t i = 0; i < from.size(); ++i) to[i] = in[i] != 0;
  });
  return out;
}

// --- Strings ----------------------------------------------------------------------------------

double parse_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  while (end != nullptr && std::isspace(static_cast<unsigned char>(*end))) ++end;
  if (text.empty() || *end != '\0') throw BadModel("'" + text + "' is no number");
  return value;
}

// Whole numbers of any size stay exact.
Tensor parse_strings(const Tensor& x, DType to) {
  const std::vector<std::string>& texts = x.string_values();
  const bool whole = is_integer(to);
  Tensor out = Tensor::allocate(whole ? DType::kInt64 : DType::kDouble, x.shape());
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string& text = texts[i];
    if (!whole) {
      out.mutable_data<double>()[i] = parse_number(text);
      continue;
    }
    char* end = nullptr;
    const auto integer = to == DType::kUint64
                             ? static_cast<int64_t>(std::strtoull(text.c_str(), &end, 10))
                             : static_cast<int64_t>(std::strtoll(text.c_str(), &end, 10));
    const bool parsed = end != text.c_str() && *end == '\0';
    out.mutable_data<int64_t>()[i] = parsed ? integer : truncated<int64_t>(parse_number(text));
  }
  return out;
}

template <typename T>
std::string format_number(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-INF" : "INF";
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", sizeof(T) == 4 ? 8 : 17, static_cast<double>(value));
    return text;
  } else {
    return std::to_string(value);
  }
}

Tensor format_strings(const Tensor& from) {
  std::vector<std::string> texts;
  with_type(NumberTypes{}, from.dtype(), [&]<typename T>(TypeTag<T>) {
    for (T value : from.values<T>()) texts.push_back(format_number(value));
  });
  return Tensor::strings(from.shape(), std::move(texts));
}

// --- Widening, narrowing ----------------------------------------------------------------------

// The same numbers in one of NumberTypes; an undefined tensor where there is none.
Tensor widen(const Tensor& x, DType to) {
  const DType dtype = x.dtype();
  if (is_half(dtype)) return half_to_float(x);
  if (is_small_float(dtype)) return Tensor::of<float>(x.shape(), to_floats(x));
  if (is_packed_integer(dtype)) return Tensor::of<int64_t>(x.shape(), to_int64s(x));
  if (dtype == DType::kString) return parse_strings(x, to);
  if (dtype == DType::kBool) {
    Tensor out = Tensor::allocate(DType::kUint8, x.shape());
    const uint8_t* in = x.data<uint8_t>();
    uint8_t* values = out.mutable_data<uint8_t>();
    for (int64_t i = 0; i < x.size(); ++i) values[i] = in[i] != 0;
    return out;
  }
  return with_type(NumberTypes{}, dtype, [](auto) {}) ? x : Tensor();
}

// From one of NumberTypes; an undefined tensor where `to` is no dtype that Cast makes.
Tensor narrow(const Tensor& wide, DType to, SmallFloatRounding rounding) {
  if (is_half(to)) return float_to_half(convert_to<float>(wide), to);
  if (is_small_float(to)) {
    return small_float_tensor(convert_to<float>(wide).values<float>(), wide.shape(), to, rounding);
  }
  if (is_packed_integer(to)) {
    const Tensor integers = convert_to<int32_t>(wide);
    const auto values = integers.values<int32_t>();
    return integer_tensor({values.begin(), values.end()}, wide.shape(), to);
  }
  if (to == DType::kBool) return convert_to_bool(wide);
  if (to == DType::kString) return format_strings(wide);
  Tensor out;
  with_type(NumberTypes{}, to, [&]<typename T>(TypeTag<T>) { out = convert_to<T>(wide); });
  return out;
}

void cast(KernelContext& c, DType to, SmallFloatRounding rounding) {
  const Tensor& x = c.input(0);
  if (x.dtype() == to) return c.set_output(0, x);
  const Tensor wide = widen(x, to);
  if (!wide.defined()) c.unsupported("data of type " + std::string(dtype_name(x.dtype())));
  Tensor out = narrow(wide, to, rounding);
  if (!out.defined()) c.unsupported("a cast to " + std::string(dtype_name(to)));
  c.set_output(0, std::move(out));
}

// --- Rows -------------------------------------------------------------------------------------

DType target_of(const Node& node) {
  const int64_t to = node.int_attribute("to", 0);
  if (to != static_cast<int32_t>(to) || !is_known_dtype(static_cast<int32_t>(to))) {
    throw BadModel(node.op_type + " node '" + node.name + "': 'to' is " + std::to_string(to) +
                   ", which is no dtype");
  }
  return static_cast<DType>(to);
}

SmallFloatRounding rounding_of(const Node& node) {
  SmallFloatRounding rounding;
  rounding.saturate = node.int_attribute("saturate", 1) != 0;
  const std::string mode = node.string_attribute("round_mode", "up");
  if (mode == "down") rounding.power = PowerRounding::kDown;
  if (mode == "nearest") rounding.power = PowerRounding::kNearest;
  if (mode != "up" && mode != "down" && mode != "nearest") {
    throw BadModel(node.op_type + " node '" + node.name + "': round_mode is '" + mode +
                   "', not up, down or nearest");
  }
  return rounding;
}

Kernel cast_kernel(const Node& node, int) {
  return [to = target_of(node), rounding = rounding_of(node)](KernelContext& c) {
    cast(c, to, rounding);
  };
}

Kernel cast_like_kernel(const Node& node, int) {
  return
      [rounding = rounding_of(node)](KernelContext& c) { cast(c, c.input(1).dtype(), rounding); };
}

Kernel bit_cast_kernel(const Node& node, int) {
  return [to = target_of(node)](KernelContext& c) {
    const Tensor& x = c.input(0);
    if (dtype_bits(x.dtype()) != dtype_bits(to) || dtype_bits(to) == 0) {
      c.fail("cannot reinterpret " + std::string(dtype_name(x.dtype())) + " as " +
             std::string(dtype_name(to)));
    }
    c.set_output(0, x.reinterpreted(to));
  };
}

// Known elements stay known where the target holds them.
void infer_cast_elements(InferContext& c, DType to) {
  auto elements = c.elements(0);
  const bool integral = is_integer(c.dtype(0)) || c.dtype(0) == DType::kBool;
  if (!elements || !integral || c.rank(0).value_or(2) > 1) return;
  if (to != DType::kInt64 && to != DType::kInt32 && to != DType::kBool) return;
  for (Element& element : *elements) {
    if (to == DType::kBool) {
      element = element.exact ? Element{*element.exact != 0, ""} : Element{};
    } else if (to == DType::kInt32 && element.exact) {
      element.exact = static_cast<int32_t>(*element.exact);
    }
  }
  c.set_elements(0, std::move(*elements));
}

void infer_cast(InferContext& c) {
  const DType to = target_of(c.node());
  c.set_output(0, to, c.shape(0));
  infer_cast_elements(c, to);
}

void infer_cast_like(InferContext& c) {
  c.set_output(0, c.dtype(1), c.shape(0));
  infer_cast_elements(c, c.dtype(1));
}

void infer_bit_cast(InferContext& c) { c.set_output(0, target_of(c.node()), c.shape(0)); }

}  // namespace

std::span<const OpRow> cast_ops() {
  static constexpr OpRow kRows[] = {
      {"", "Cast", 6, infer_cast, cast_kernel, 0, kElementwise, kNative},
      {"", "CastLike", 15, infer_cast_like, cast_like_kernel, 0, kElementwise, kNative},
      {"", "BitCast", 26, infer_bit_cast, bit_cast_kernel, 0, kElementwise, kNative},
  };
  return kRows;
}

}  // namespace dwindle
