// The families that make up the operator table: one function and one .cpp each.
#pragma once

#include <span>

#include "core/ops/op.h"

namespace dwindle {

std::span<const OpRow> constant_ops();  // Constant, Identity, Shape, Size, random numbers, …

}  // namespace dwindle
