#include "tools/pass_flags.h"

namespace dwindle::cli {

void PassFlags::add(CLI::App& app, const passes::PassRow& row) {
  for (const passes::OptionSpec& spec : row.options) {
    Flag& flag = flags_.emplace_back();
    flag.name = spec.name;
    flag.value = spec.otherwise;
    const std::string name = "--" + spec.name;
    if (auto* boolean = std::get_if<bool>(&flag.value)) {
      const bool on = *boolean;
      flag.option = app.add_flag(on ? name + ",!--no-" + spec.name : name, *boolean,
                                 spec.help + (on ? " (on by default)" : ""));
    } else if (auto* integer = std::get_if<int64_t>(&flag.value)) {
      flag.option = app.add_option(name, *integer, spec.help)->capture_default_str();
    } else if (auto* number = std::get_if<double>(&flag.value)) {
      flag.option = app.add_option(name, *number, spec.help)->capture_default_str();
    } else if (auto* text = std::get_if<std::string>(&flag.value)) {
      flag.option = app.add_option(name, *text, spec.help)->capture_default_str();
      if (!spec.choices.empty()) flag.option->check(CLI::IsMember(spec.choices));
    } else if (auto* list = std::get_if<std::vector<std::string>>(&flag.value)) {
      flag.option = app.add_option(name, *list, spec.help + " (may be repeated)");
      flag.option->allow_extra_args(false);
      if (!spec.choices.empty()) flag.option->check(CLI::IsMember(spec.choices));
    }
  }
}

std::map<std::string, passes::OptionValue> PassFlags::given() const {
  std::map<std::string, passes::OptionValue> values;
  for (const Flag& flag : flags_) {
    if (flag.option->count() > 0) values.emplace(flag.name, flag.value);
  }
  return values;
}

}  // namespace dwindle::cli
