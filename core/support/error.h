// The errors that Dwindle raises. Libraries throw them and never print or exit.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include "core/support/utf8.h"

namespace dwindle {

// Base of all errors but Interrupted. `what()` says what is wrong, where, and what to do about it,
// in UTF-8 whatever the names in a file hold.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what) : std::runtime_error(as_utf8(what)) {}
};

// The model is not valid: malformed file, cycle, undefined value, contradicting shapes.
class BadModel : public Error {
 public:
  using Error::Error;
};

// Input data (calibration, evaluation) does not fit the model.
class BadData : public Error {
 public:
  using Error::Error;
};

// An option or argument is unknown or out of range.
class BadOption : public Error {
 public:
  using Error::Error;
};

// The model is valid but uses something that Dwindle does not handle, named in the message.
class Unsupported : public Error {
 public:
  using Error::Error;
};

// The result is further from the original than the user allows. Nothing has been written.
class BoundMissed : public Error {
 public:
  using Error::Error;
};

// A file cannot be read or written.
class IoError : public Error {
 public:
  using Error::Error;
};

// The user asked to stop. Nothing has been written. Not an Error: what handles those and goes on
// must not go on here.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

}  // namespace dwindle
