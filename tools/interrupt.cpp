#include "tools/interrupt.h"

#include <csignal>

#include "core/support/error.h"

namespace dwindle::cli {
namespace {

volatile std::sig_atomic_t g_signal = 0;

class Interruptible : public Dataset {
 public:
  explicit Interruptible(std::unique_ptr<Dataset> data) : data_(std::move(data)) {}

  std::optional<Feed> next() override {
    check_interrupted();
    return data_->next();
  }
  bool rewind() override { return data_->rewind(); }
  int64_t size() const override { return data_->size(); }

 private:
  std::unique_ptr<Dataset> data_;
};

}  // namespace

void watch_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int signal) { g_signal = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

int noted_signal() { return g_signal; }

void check_interrupted() {
  if (g_signal != 0) throw Interrupted();
}

std::unique_ptr<Dataset> interruptible(std::unique_ptr<Dataset> data) {
  return std::make_unique<Interruptible>(std::move(data));
}

}  // namespace dwindle::cli
