// Progress: how long work tells how far it is. That it should stop it learns by interrupt.h.
#pragma once

#include <cstddef>
#include <string_view>

namespace dwindle {

class Progress {
 public:
  virtual ~Progress() = default;
  // `done` of `total` steps of `stage` are done (`total` 0: not known). Called often enough that a
  // person sees it move; may throw (what a Python callback raised), which ends the work with
  // nothing written.
  virtual void update(std::string_view stage, size_t done, size_t total) = 0;
};

}  // namespace dwindle
