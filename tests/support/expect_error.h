#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace dwindle::testing {

// Expects `body` to raise exactly ErrorType, with `part` in its message.
template <typename ErrorType, typename Body>
void expect_error(std::string_view part, Body&& body) {
  try {
    body();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const ErrorType& error) {
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos)
        << "message: " << error.what() << "\nexpected in it: " << part;
  }
}

}  // namespace dwindle::testing
