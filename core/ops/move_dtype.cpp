// Packed dtypes and strings in kernels that move whole bytes.
#include "core/ops/move.h"

namespace dwindle {
namespace {

const Held kOmitted;

// The dtype of a tensor or of a sequence's tensors; kUndefined where there are none.
DType dtype_of(const Held& held) {
  if (!held.sequence) return held.tensor.dtype();
  return held.sequence->empty() ? DType::kUndefined : held.sequence->front().dtype();
}

// `held` with `change` made to the tensor, or to each of the sequence's.
template <typename Change>
Held changed(const Held& held, Change&& change) {
  if (!held.sequence) return Held(change(held.tensor));
  auto tensors = std::make_shared<std::vector<Tensor>>();
  for (const Tensor& tensor : *held.sequence) tensors->push_back(change(tensor));
  return Held(Sequence(std::move(tensors)));
}

// The context of a kernel with stand-ins for some of its inputs.
class StandInContext : public KernelContext {
 public:
  StandInContext(KernelContext& outer, uint32_t data_inputs, DType dtype)
      : outer_(outer), dtype_(dtype), stand_in_(is_string() ? DType::kUint32 : DType::kUint8) {
    node_ = &outer.node();
    stand_ins_.resize(outer.num_inputs());
    for (size_t i = 0; i < outer.num_inputs(); ++i) {
      inputs_.push_back(outer.has_input(i) ? &outer.held(i) : &kOmitted);
      const bool data = i >= 32 || ((data_inputs >> i) & 1u) != 0;
      if (!data || dtype_of(*inputs_[i]) != dtype_) continue;
      stand_ins_[i] = changed(*inputs_[i], [this](const Tensor& tensor) {
        if (tensor.dtype() != dtype_) return tensor;
        return is_string() ? numbered(tensor) : unpack_elements(tensor);
      });
      inputs_[i] = &stand_ins_[i];
    }
  }

  std::vector<Held> run_graph(const Graph& graph, std::vector<Held> inputs) override {
    return outer_.run_graph(graph, std::move(inputs));
  }

  void hand_back() {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      outer_.set_output(i, changed(outputs_[i], [this](const Tensor& tensor) {
                          if (tensor.dtype() != stand_in_) return tensor;
                          return is_string() ? named(tensor) : pack_elements(tensor, dtype_);
                        }));
    }
  }

 private:
  bool is_string() const { return dtype_ == DType::kString; }

  Tensor numbered(const Tensor& tensor) {
    Tensor numbers = Tensor::allocate(stand_in_, tensor.shape());
    uint32_t* to = numbers.mutable_data<uint32_t>();
    for (const std::string& text : tensor.string_values()) {
      *to++ = static_cast<uint32_t>(strings_.size());
      strings_.push_back(text);
    }
    return numbers;
  }
  Tensor named(const Tensor& numbers) const {
    std::vector<std::string> values;
    for (uint32_t number : numbers.values<uint32_t>()) values.push_back(strings_[number]);
    return Tensor::strings(numbers.shape(), std::move(values));
  }

  KernelContext& outer_;
  DType dtype_, stand_in_;
  std::vector<Held> stand_ins_;
  std::vector<std::string> strings_ = {""};
};

}  // namespace

Tensor unpack_elements(const Tensor& packed) {
  const int bits = dtype_bits(packed.dtype());
  Tensor out = Tensor::allocate(DType::kUint8, packed.shape());
  uint8_t* to = out.mutable_data<uint8_t>();
  for (int64_t i = 0; i < packed.size(); ++i) {
    const int64_t at = i * bits;
    int word = static_cast<int>(packed.bytes()[at / 8]);
    if (at % 8 + bits > 8) word |= static_cast<int>(packed.bytes()[at / 8 + 1]) << 8;
    to[i] = static_cast<uint8_t>((word >> (at % 8)) & ((1 << bits) - 1));
  }
  return out;
}

Tensor pack_elements(const Tensor& bytes, DType packed) {
  const int bits = dtype_bits(packed);
  Tensor out = Tensor::zeros(packed, bytes.shape());
  std::byte* to = out.mutable_bytes();
  const uint8_t* from = bytes.data<uint8_t>();
  for (int64_t i = 0; i < bytes.size(); ++i) {
    const int64_t at = i * bits;
    const int word = from[i] << (at % 8);
    to[at / 8] |= static_cast<std::byte>(word & 0xff);
    if (at % 8 + bits > 8) to[at / 8 + 1] |= static_cast<std::byte>(word >> 8);
  }
  return out;
}

Kernel any_dtype(Kernel kernel, uint32_t data_inputs) {
  return [kernel = std::move(kernel), data_inputs](KernelContext& c) {
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      if (i < 32 && ((data_inputs >> i) & 1u) == 0) continue;
      if (!c.has_input(i)) continue;
      const DType dtype = dtype_of(c.held(i));
      const int bits = dtype_bits(dtype);
      if (dtype == DType::kUndefined || (bits != 0 && bits % 8 == 0)) continue;
      StandInContext stand_in(c, data_inputs, dtype);
      kernel(stand_in);
      stand_in.hand_back();
      return;
    }
    kernel(c);
  };
}

}  // namespace dwindle
