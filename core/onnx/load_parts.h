// The parts of the loader. Each takes what the IR names out of the message it is given; what is
// left in the message afterwards is what encode_rest() keeps.
#pragma once

#include <string>
#include <unordered_map>

#include "core/ir/model.h"
#include "core/onnx/external_data.h"
#include "core/onnx/schema.h"

namespace dwindle {

// Takes dims, data type and data. Large data moves, it is not copied. Raises BadModel where they
// contradict each other.
Tensor take_tensor(proto::TensorProto& message, ExternalFiles& files);
SparseTensor take_sparse_tensor(proto::SparseTensorProto& message, ExternalFiles& files);

// Brings external data into the message, for messages that are kept encoded: once saved elsewhere,
// their place would mean nothing.
void embed_external_data(proto::TensorProto& message, ExternalFiles& files);
void embed_external_data(proto::GraphProto& message, ExternalFiles& files);
void embed_external_data(proto::AttributeProto& message, ExternalFiles& files);

// Takes the type. Raises BadModel where an extent is negative or the element type unknown.
ValueType take_type(proto::ValueInfoProto& info);

// Whether no tensor can be of both types.
bool contradict(const ValueType& a, const ValueType& b);

// Fill an empty graph or function.
void load_graph(proto::GraphProto& message, Graph& graph, ExternalFiles& files);
void load_function(proto::FunctionProto& message, Function& function, ExternalFiles& files);

// Takes the attribute of a node (or function) of `graph`.
Attribute take_attribute(proto::AttributeProto& message, Graph& graph, ExternalFiles& files);

}  // namespace dwindle
