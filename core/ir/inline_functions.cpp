#include "core/ir/inline_functions.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_set>

#include "core/support/error.h"

namespace dwindle {
namespace {

constexpr int64_t kCountedNodes = int64_t{1} << 60;  // where counting stops

using FunctionKey = std::tuple<std::string, std::string, std::string>;

class Inliner {
 public:
  explicit Inliner(Model& model) : model_(model) {
    for (Function& function : model.functions) {
      functions_.emplace(FunctionKey{function.domain, function.name, function.overload}, &function);
    }
  }

  InlineResult run() {
    // Bodies first, so that a copy of a body has no calls left.
    const std::vector<Function*> order = callees_first();
    check_sizes(order);
    for (const Function& function : model_.functions) merge_opsets(function);
    for (Function* function : order) inline_into(*function->graph);
    result_.calls = 0;  // counted where they end up in the model's graph
    inline_into(*model_.graph);
    drop_domains();
    drop_versions();
    model_.functions.clear();
    return std::move(result_);
  }

 private:
  Function* function_of(const Node& node) const {
    auto it = functions_.find({node.domain, node.op_type, node.overload});
    return it == functions_.end() ? nullptr : it->second;
  }

  // Every function behind all that it calls. Without recursion: files may nest calls deeply.
  std::vector<Function*> callees_first() const {
    std::vector<Function*> order, stack;
    std::unordered_set<const Function*> open, done;
    for (Function& root : model_.functions) stack.push_back(&root);
    while (!stack.empty()) {
      Function* function = stack.back();
      if (done.contains(function)) {
        stack.pop_back();
      } else if (open.insert(function).second) {
        for_each_graph(*function->graph, [&](Graph& graph) {
          for (Node* node : graph.nodes()) {
            Function* called = function_of(*node);
            if (called == nullptr || done.contains(called)) continue;
            if (open.contains(called)) {
              throw BadModel("local function '" + called->name + "' calls itself");
            }
            stack.push_back(called);
          }
        });
      } else {
        stack.pop_back();
        open.erase(function);
        done.insert(function);
        order.push_back(function);
      }
    }
    return order;
  }

  // Bodies that call each other a few times each grow as a power of their number: counted first.
  void check_sizes(const std::vector<Function*>& order) const {
    std::unordered_map<const Function*, int64_t> sizes;
    int64_t all = 0;
    auto size_of = [&](Graph& outermost, const Function** largest) {
      int64_t nodes = 0, most = 0;
      for_each_graph(outermost, [&](Graph& graph) {
        for (const Node* node : graph.nodes()) {
          const Function* called = function_of(*node);
          const int64_t size = called == nullptr ? 1 : sizes.at(called);
          nodes = std::min(nodes + size, kCountedNodes);
          if (called != nullptr && size > most) {
            most = size;
            *largest = called;
          }
        }
      });
      return nodes;
    };
    auto check = [&](int64_t nodes, const Function& function) {
      all = std::min(all + nodes, kCountedNodes);
      if (all <= kMostInlinedNodes) return;
      throw Unsupported("local function '" + function.name + "': inlining its calls would take " +
                        (all < kCountedNodes ? "" : "at least ") + std::to_string(all) +
                        " nodes, more than the " + std::to_string(kMostInlinedNodes) +
                        " that are supported");
    };
    for (const Function* function : order) {
      const Function* largest = nullptr;
      check(sizes[function] = size_of(*function->graph, &largest), *function);
    }
    const Function* largest = nullptr;
    const int64_t nodes = size_of(*model_.graph, &largest);
    if (largest != nullptr) check(nodes, *largest);
  }

  void inline_into(Graph& outermost) {
    for_each_graph(outermost, [&](Graph& graph) {
      for (Node* node : graph.nodes()) {
        if (const Function* function = function_of(*node)) inline_call(graph, *node, *function);
      }
      graph.sweep();
    });
  }

  void inline_call(Graph& graph, Node& call, const Function& function) {
    std::unordered_map<const Value*, Value*> values;
    const std::vector<Value*>& parameters = function.graph->inputs();
    if (call.num_inputs() > parameters.size()) {
      throw BadModel("node '" + call.name + "' gives function '" + function.name + "' " +
                     std::to_string(call.num_inputs()) + " inputs, more than it takes");
    }
    for (size_t i = 0; i < parameters.size(); ++i) values.emplace(parameters[i], call.input(i));
    copy_nodes(*function.graph, graph, values, &call, /*unique_names=*/true);
    bind_attributes(call, function, values);
    for (size_t i = 0; i < call.num_outputs(); ++i) {
      if (call.output(i) == nullptr) continue;
      if (i >= function.graph->outputs().size()) {
        throw BadModel("node '" + call.name + "' wants more outputs than function '" +
                       function.name + "' has");
      }
      take_output(graph, *call.output(i), values.at(function.graph->outputs()[i]), function);
    }
    std::vector<std::pair<Value*, std::string>> names;
    for (size_t i = 0; i < call.num_outputs(); ++i) {
      if (call.output(i) == nullptr) continue;
      Value* inner = values.at(function.graph->outputs()[i]);
      const bool passed_on = std::find(parameters.begin(), parameters.end(),
                                       function.graph->outputs()[i]) != parameters.end();
      if (!passed_on && !inner->is_graph_output())
        names.emplace_back(inner, call.output(i)->name());
    }
    graph.erase(&call);
    // What people know by name keeps its name.
    for (const auto& [value, name] : names) {
      if (graph.find(name) == nullptr) value->rename(name);
    }
    ++result_.calls;
  }

  void take_output(Graph& graph, Value& output, Value* inner, const Function& function) {
    if (inner == nullptr) {
      throw BadModel("function '" + function.name + "' passes on an input that is not given");
    }
    if (inner->type == ValueType()) inner->type = output.type;
    graph.replace(&output, inner);
  }

  // Gives copies of the function's nodes the attributes of the call where they refer to them.
  void bind_attributes(const Node& call, const Function& function,
                       const std::unordered_map<const Value*, Value*>& values) {
    auto bound = [&](const std::string& name) -> const Attribute* {
      if (const Attribute* given = call.attribute(name)) return given;
      for (const Attribute& attribute : function.default_attributes) {
        if (attribute.name == name) return &attribute;
      }
      return nullptr;
    };
    auto bind = [&](Node& node) {
      for (size_t i = node.attributes().size(); i-- > 0;) {
        Attribute& attribute = node.attributes()[i];
        if (attribute.reference.empty()) continue;
        const Attribute* from = bound(attribute.reference);
        if (from == nullptr) {
          node.attributes().erase(node.attributes().begin() + static_cast<std::ptrdiff_t>(i));
        } else {
          Attribute copy = copy_of(*from, call);
          copy.name = attribute.name;
          attribute = std::move(copy);
        }
      }
    };
    for (const Node* node : function.graph->nodes()) {
      for (const Value* output : node->outputs()) {
        if (output == nullptr) continue;
        Node* copy = values.at(output)->producer();
        keep_version(*node, *copy, function);
        if (!call.name.empty() && !node->name.empty()) copy->name = call.name + "/" + node->name;
        bind(*copy);
        for (Graph* nested : copy->nested_graphs()) {
          for_each_graph(*nested, [&](Graph& graph) {
            for (Node* inner : graph.nodes()) bind(*inner);
          });
        }
        break;
      }
    }
  }

  // The version that a node of `function` is in goes with its copy, and with those inside.
  void keep_version(const Node& node, const Node& copy, const Function& function) {
    const auto inner = result_.versions.find(&node);  // inlined into this function itself
    const auto own = function.opsets.find(node.domain);
    if (inner != result_.versions.end()) {
      result_.versions.emplace(&copy, inner->second);
    } else if (own != function.opsets.end() && own->second != model_.opsets.at(node.domain)) {
      result_.versions.emplace(&copy, own->second);
    }
    const auto graphs = node.nested_graphs(), copies = copy.nested_graphs();
    for (size_t i = 0; i < graphs.size(); ++i) {
      auto nested_copy = copies[i]->nodes().begin();
      for (const Node* nested : graphs[i]->nodes()) {
        keep_version(*nested, **nested_copy, function);
        ++nested_copy;
      }
    }
  }

  static Attribute copy_of(const Attribute& from, const Node& call) {
    Attribute to;
    to.reference = from.reference;
    to.type = from.type;
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::unique_ptr<Graph>> ||
                        std::is_same_v<T, std::vector<std::unique_ptr<Graph>>>) {
            throw Unsupported(call.op_type + " node '" + call.name +
                              "': a graph as an attribute of a local function is not supported");
          } else {
            to.value = value;
          }
        },
        from.value);
    return to;
  }

  void merge_opsets(const Function& function) {
    for (const auto& [domain, version] : function.opsets) {
      const auto [it, added] = model_.opsets.emplace(domain, version);
      if (added || it->second == version) continue;
      result_.notes.push_back("function '" + function.name + "' imports version " +
                              std::to_string(version) + " of operator set '" +
                              (domain.empty() ? "ai.onnx" : domain) + "', the model " +
                              std::to_string(it->second) + "; taken as the same");
    }
  }

  // Those of nodes that go with the functions.
  void drop_versions() {
    for (const Function& function : model_.functions) {
      for_each_graph(*function.graph, [&](Graph& graph) {
        for (const Node* node : graph.nodes()) result_.versions.erase(node);
      });
    }
  }

  // Operator sets that held only the functions.
  void drop_domains() {
    std::set<std::string> used;
    for_each_graph(*model_.graph, [&](Graph& graph) {
      for (Node* node : graph.nodes()) used.insert(node->domain);
    });
    for (const Function& function : model_.functions) {
      if (!function.domain.empty() && !used.contains(function.domain)) {
        model_.opsets.erase(function.domain);
      }
      for (const auto& [domain, version] : function.opsets) {
        if (!domain.empty() && !used.contains(domain)) model_.opsets.erase(domain);
      }
    }
  }

  Model& model_;
  std::map<FunctionKey, Function*> functions_;
  InlineResult result_;
};

}  // namespace

InlineResult inline_functions(Model& model) {
  if (model.functions.empty()) return {};
  return Inliner(model).run();
}

}  // namespace dwindle
