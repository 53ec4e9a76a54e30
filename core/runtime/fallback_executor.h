// FallbackExecutor: a FloatExecutor that hands over to another executor where it must refuse.
#pragma once

#include <memory>
#include <unordered_set>

#include "core/runtime/executor.h"

namespace dwindle {

class FallbackExecutor : public Executor {
 public:
  // `other` is called with the model and with what FloatExecutor refused, when and if it does; it
  // may raise an error that says both.
  using MakeOther =
      std::function<std::unique_ptr<Executor>(const Model& model, const std::string& refused)>;

  FallbackExecutor(const Model& model, MakeOther other);

  // Kernels may refuse what they meet in a run. The run then starts over in the other executor;
  // values that the watcher has seen in it are not shown again.
  TensorMap run(const TensorMap& feeds) override;
  void watch(const std::vector<const Value*>& values, Watcher watcher) override;
  std::string blind_to(const Value& value) const override { return now_->blind_to(value); }

 private:
  void hand_over(const std::string& refused);

  const Model& model_;
  MakeOther make_other_;
  std::unique_ptr<Executor> now_;
  bool handed_over_ = false;
  std::vector<const Value*> watched_;
  Watcher watcher_;
  std::unordered_set<const Value*> seen_;  // in the run that goes on
};

}  // namespace dwindle
