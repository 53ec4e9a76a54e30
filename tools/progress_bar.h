// A progress bar on the terminal that stderr is; nothing where stderr is none.
#pragma once

#include <chrono>
#include <string>

#include "core/support/progress.h"

namespace dwindle::cli {

class ProgressBar : public Progress {
 public:
  ProgressBar();
  ~ProgressBar() override;  // takes the bar off the terminal
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::string_view stage, size_t done, size_t total) override;

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace dwindle::cli
