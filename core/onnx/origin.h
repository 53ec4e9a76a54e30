// Where a model says that it comes from.
#pragma once

#include <string>

#include "core/ir/model.h"

namespace dwindle {

struct Origin {
  std::string producer, producer_version;
  std::string domain;
  int64_t model_version = 0;
  std::string doc;
};

Origin origin_of(const Model& model);

}  // namespace dwindle
