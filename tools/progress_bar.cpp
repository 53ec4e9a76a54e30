#include "tools/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace dwindle::cli {
namespace {

constexpr size_t kWidth = 30;
constexpr auto kPeriod = std::chrono::milliseconds(80);
constexpr const char* kClearLine = "\r\033[K";

std::string line(std::string_view stage, size_t done, size_t total) {
  if (total == 0) return fmt::format("{} {}", stage, done);
  const size_t full = kWidth * std::min(done, total) / total;
  std::string bar;
  for (size_t i = 0; i < kWidth; ++i) bar += i < full ? "━" : "─";
  return fmt::format("{} {}/{} {}", bar, done, total, stage);
}

}  // namespace

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (shown_) fmt::print(stderr, "{}", kClearLine);
}

void ProgressBar::update(std::string_view stage, size_t done, size_t total) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kPeriod;
  fmt::print(stderr, "{}{}", kClearLine, line(stage, done, total));
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace dwindle::cli
