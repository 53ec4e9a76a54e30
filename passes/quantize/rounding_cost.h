// RoundingCost: what rounding values costs the outputs of a model, on a few feeds.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/data/dataset.h"
#include "core/ir/model.h"
#include "core/runtime/executor.h"
#include "passes/quantize/plan.h"
#include "passes/quantize/rounded_runs.h"

namespace dwindle::passes {

// At the output that is harmed most, beyond what rounded weights cost it.
struct Cost {
  double share = 0;  // of what values may cost the output: more than 1 is too much
  double noise = 0;  // by signal
};

class RoundingCost {
 public:
  using Values = std::vector<const Value*>;

  // Of `values` of `model`, rounded as planned, on `feeds`; they and what else is given outlive
  // this.
  // Outputs can bear noise of `allowed` by signal, that of weights included. Where weights leave no
  // room, values may cost as much as these; and if all of them together cost little more, or
  // weights leave next to nothing, then whatever they cost. `executors` run what FloatExecutor
  // cannot. Raises Unsupported where they cannot either.
  RoundingCost(const Model& model, const Plan& plan, const Values& values,
               const std::vector<Feed>& feeds, double allowed, const MakeExecutor& executors);

  // From now on costs are those beside weights rounded, as at first, or in float. What values may
  // cost stays the same.
  void look_beside(Weights weights);

  // Of all values together.
  Cost whole() const { return whole_; }
  // Noise by signal of rounded weights alone at the worst output; 0 where all outputs bear all
  // values.
  double weights_noise() const;
  // Whether weights leave every output room for some noise of values.
  bool weights_leave_room() const;

  Cost of(const Values& values);
  // An estimate of that by the one feed that has most of the noise of all values: enough to compare
  // parts with each other. All of it may be in one, where a score near a bound decides what is
  // done.
  Cost rough(const Values& values);

  // So many costs were asked for.
  int asked() const { return asked_; }

 private:
  struct Power {
    double signal = 0, noise = 0;

    void add(const Tensor& real, const Tensor& other);
    double ratio() const { return signal > 0 ? noise / signal : 0; }
  };
  using Powers = std::map<std::string, Power>;  // by the name of the output
  struct View {
    std::unique_ptr<RoundedRuns> runs;
    std::vector<Powers> of_all;   // noise of all values, by feed
    std::vector<Powers> of_none;  // noise of weights, by feed; empty: none
  };

  View& view() { return weights_ == Weights::kRounded ? rounded_ : float_; }
  const View& view() const { return weights_ == Weights::kRounded ? rounded_ : float_; }
  void open_view(Weights weights);
  void run_real();
  Powers run(size_t feed);
  std::vector<Powers> run_all(const Values& values);
  static Powers sum(const std::vector<Powers>& feeds);
  // Without the noise of weights.
  Powers beyond_weights(Powers outputs, size_t feed) const;
  Cost worst(const Powers& outputs) const;
  void choose_bearable();
  void choose_rough_feed();

  const Model& model_;
  const Plan& plan_;
  const Values& values_;
  const std::vector<Feed>& feeds_;
  double allowed_;
  const MakeExecutor& executors_;
  std::vector<TensorMap> real_;  // outputs by feed
  Weights weights_ = Weights::kRounded;
  View rounded_, float_;
  std::map<std::string, double> bearable_;
  Cost whole_;
  size_t rough_feed_ = 0;
  double rough_scale_ = 1;
  int asked_ = 0;
};

}  // namespace dwindle::passes
