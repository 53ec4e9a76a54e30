#include "core/runtime/fallback_executor.h"

#include "core/support/error.h"

namespace dwindle {

FallbackExecutor::FallbackExecutor(const Model& model, MakeOther other)
    : model_(model), make_other_(std::move(other)) {
  try {
    now_ = make_float_executor(model);
  } catch (const Unsupported& error) {
    hand_over(error.what());
  }
}

void FallbackExecutor::hand_over(const std::string& refused) {
  now_ = make_other_(model_, refused);
  handed_over_ = true;
  if (!watched_.empty()) watch(watched_, watcher_);
}

TensorMap FallbackExecutor::run(const TensorMap& feeds) {
  seen_.clear();
  if (handed_over_) return now_->run(feeds);
  try {
    return now_->run(feeds);
  } catch (const Unsupported& error) {
    hand_over(error.what());
  }
  TensorMap outputs = now_->run(feeds);
  seen_.clear();
  return outputs;
}

void FallbackExecutor::watch(const std::vector<const Value*>& values, Watcher watcher) {
  watched_ = values;
  watcher_ = std::move(watcher);
  now_->watch(watched_, [this](const Value& value, const Tensor& tensor) {
    if (handed_over_ && seen_.contains(&value)) return;
    // Values of loops come many times in one run, which only the first executor shows.
    if (!handed_over_) seen_.insert(&value);
    watcher_(value, tensor);
  });
}

}  // namespace dwindle
