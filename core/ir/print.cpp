#include "core/ir/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

namespace dwindle {
namespace {

// Constants up to this many elements are printed whole.
constexpr int64_t kShort = 8;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// Names are quoted only where they hold something that the text form uses itself.
std::string value_name(const Value* value) {
  if (value == nullptr) return "_";
  const std::string& name = value->name();
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_./:-").find(c) != std::string_view::npos;
  });
  return "%" + (plain ? name : quoted(name));
}

std::string typed(const Value* value) {
  const std::string name = value_name(value);
  if (value == nullptr || value->type == ValueType()) return name;
  return name + ": " + to_string(value->type);
}

template <typename Items, typename Print>
std::string joined(const Items& items, Print&& print) {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += ", ";
    out += print(item);
  }
  return out;
}

template <typename T>
std::string numbers(const std::vector<T>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

std::string elements(const Tensor& tensor) {
  const DType dtype = tensor.dtype();
  if (dtype == DType::kString) return "[" + joined(tensor.string_values(), quoted) + "]";
  if (dtype == DType::kDouble) {
    return fmt::format("[{}]", fmt::join(tensor.values<double>(), ", "));
  }
  if (dtype == DType::kUint64) {
    return fmt::format("[{}]", fmt::join(tensor.values<uint64_t>(), ", "));
  }
  if (is_integer(dtype) || dtype == DType::kBool) return numbers(to_int64s(tensor));
  if (is_floating(dtype)) return numbers(to_floats(tensor));
  return "[...]";
}

std::string to_text(const Tensor& tensor) {
  if (!tensor.defined()) return "none";
  std::string out = std::string(dtype_name(tensor.dtype())) + to_string(tensor.shape());
  if (tensor.size() <= kShort) out += " " + elements(tensor);
  return out;
}

std::string opset_list(const std::map<std::string, int64_t>& opsets) {
  std::string out;
  for (const auto& [domain, version] : opsets) {
    if (!out.empty()) out += ", ";
    out += fmt::format("{}:{}", domain.empty() ? "ai.onnx" : domain, version);
  }
  return "[" + out + "]";
}

// Writes lines at the depth of the nesting.
class Printer {
 public:
  void print(const Model& model);
  void print(const Graph& graph, const std::string& opening);
  void print(const Node& node);
  std::string text() && { return std::move(text_); }

 private:
  void line(const std::string& content);
  void print(const Function& function);
  void print_constants(const Graph& graph);
  std::string attribute_text(const Attribute& attribute) const;

  std::string text_;
  size_t depth_ = 0;
};

void Printer::line(const std::string& content) {
  text_.append(2 * depth_, ' ');
  text_ += content + "\n";
}

void Printer::print(const Model& model) {
  line(fmt::format("model ir_version={} opsets={}", model.ir_version, opset_list(model.opsets)));
  for (const auto& [key, value] : model.metadata) {
    line("metadata " + quoted(key) + "=" + quoted(value));
  }
  print(*model.graph, "");
  for (const Function& function : model.functions) print(function);
}

void Printer::print(const Function& function) {
  std::string opening = "function " + function.domain + "." + function.name;
  if (!function.overload.empty()) opening += ":" + function.overload;
  opening += " opsets=" + opset_list(function.opsets);
  const auto as_is = [](const std::string& name) { return name; };
  const auto with_value = [&](const Attribute& attribute) { return attribute_text(attribute); };
  std::string attributes = joined(function.attributes, as_is);
  if (!function.default_attributes.empty()) {
    if (!attributes.empty()) attributes += ", ";
    attributes += joined(function.default_attributes, with_value);
  }
  if (!attributes.empty()) opening += " {" + attributes + "}";
  print(*function.graph, opening + " ");
}

void Printer::print(const Graph& graph, const std::string& opening) {
  std::string first = opening + "graph ";
  if (!graph.name.empty()) first += quoted(graph.name) + " ";
  line(first + "(" + joined(graph.inputs(), typed) + ") {");
  ++depth_;
  print_constants(graph);
  for (const Node* node : graph.nodes()) print(*node);
  line("return " + joined(graph.outputs(), value_name));
  --depth_;
  line("}");
}

void Printer::print_constants(const Graph& graph) {
  for (const Value* value : graph.initializers()) {
    if (const Tensor* tensor = value->initializer()) {
      line(value_name(value) + " = " + to_text(*tensor));
    }
    if (const SparseTensor* sparse = value->sparse_initializer()) {
      line(value_name(value) + " = sparse" + to_string(sparse->shape) + " of " +
           to_text(sparse->values) + " at " + to_text(sparse->indices));
    }
  }
}

// Nested graphs are not part of it: they follow the node's line.
std::string Printer::attribute_text(const Attribute& attribute) const {
  struct ValueText {
    std::string operator()(std::monostate) const { return "none"; }
    std::string operator()(float value) const { return fmt::format("{}", value); }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(const std::string& value) const { return quoted(value); }
    std::string operator()(const Tensor& value) const { return to_text(value); }
    std::string operator()(const std::vector<float>& values) const { return numbers(values); }
    std::string operator()(const std::vector<int64_t>& values) const { return numbers(values); }
    std::string operator()(const std::vector<std::string>& values) const {
      return "[" + joined(values, quoted) + "]";
    }
    std::string operator()(const std::vector<Tensor>& values) const {
      return "[" + joined(values, [](const Tensor& tensor) { return to_text(tensor); }) + "]";
    }
    std::string operator()(const OpaqueAttribute&) const { return "opaque"; }
    std::string operator()(const std::unique_ptr<Graph>&) const { return "graph"; }
    std::string operator()(const std::vector<std::unique_ptr<Graph>>& graphs) const {
      return fmt::format("{} graphs", graphs.size());
    }
  };
  if (!attribute.reference.empty()) return attribute.name + "=@" + attribute.reference;
  return attribute.name + "=" + std::visit(ValueText(), attribute.value);
}

void Printer::print(const Node& node) {
  std::string out = joined(node.outputs(), typed);
  if (!out.empty()) out += " = ";
  if (!node.domain.empty()) out += node.domain + ".";
  out += node.op_type;
  if (!node.overload.empty()) out += ":" + node.overload;
  out += "(" + joined(node.inputs(), value_name) + ")";
  if (!node.attributes().empty()) {
    const auto print_one = [&](const Attribute& attribute) { return attribute_text(attribute); };
    out += " {" + joined(node.attributes(), print_one) + "}";
  }
  if (!node.name.empty()) out += " " + quoted(node.name);
  line(out);
  ++depth_;
  for (const Attribute& attribute : node.attributes()) {
    if (const auto* one = std::get_if<std::unique_ptr<Graph>>(&attribute.value)) {
      print(**one, attribute.name + " = ");
    } else if (const auto* many =
                   std::get_if<std::vector<std::unique_ptr<Graph>>>(&attribute.value)) {
      for (const auto& graph : *many) print(*graph, attribute.name + " = ");
    }
  }
  --depth_;
}

}  // namespace

std::string to_text(const Model& model) {
  Printer printer;
  printer.print(model);
  return std::move(printer).text();
}

std::string to_text(const Graph& graph) {
  Printer printer;
  printer.print(graph, "");
  return std::move(printer).text();
}

std::string to_text(const Node& node) {
  Printer printer;
  printer.print(node);
  std::string text = std::move(printer).text();
  text.pop_back();  // one line, unless graphs are nested in it
  return text;
}

}  // namespace dwindle
