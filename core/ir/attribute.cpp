#include "core/ir/attribute.h"

#include "core/ir/graph.h"

namespace dwindle {

Attribute::Value::Value(Value&&) noexcept = default;
Attribute::Value& Attribute::Value::operator=(Value&&) noexcept = default;
Attribute::Value::~Value() = default;

}  // namespace dwindle
