#include "core/data/feed_checks.h"

#include "core/ir/finite.h"
#include "core/support/error.h"

namespace dwindle {

void check_finite(const Feed& feed, int64_t first_sample) {
  for (const auto& [name, tensor] : feed.inputs) {
    const NonFinite found = find_non_finite(tensor);
    if (!found.any()) continue;
    Dims position = index_of_element(found.first, tensor.shape());
    int64_t sample = feed.source.empty() ? first_sample : feed.first_sample;
    // Where the first axis counts samples; otherwise the feed as a whole is one.
    if (!position.empty() && (feed.samples > 1 || tensor.shape()[0] == 1)) {
      sample += position[0] % feed.samples;
      position.erase(position.begin());
    }
    const std::string place = feed.source.empty() ? "" : " of " + feed.source;
    throw BadData("input '" + name + "'" + place + ", sample " + std::to_string(sample) +
                  ", position " + to_string(position) + " is " +
                  non_finite_name(found.first_value) + "; calibration data must be finite");
  }
}

}  // namespace dwindle
