// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include <flow29/node.hpp>

#include "api/json_results.hpp"
#include "api/params.hpp"
#include "api/router.hpp"

namespace flow29::api {

/// What an operation waits for without anything moving, if its caller does not say.
inline constexpr auto idle_timeout_default = std::chrono::seconds(60);

/// One operation of Router on its way into the node.
struct Call {
    Node& node;
    Request request;
    Params params;
    EmitFn emit;
    unsigned copies_default;
    std::function<void()> left;  ///< see Router

    void fail_with(const Error& error) const { emit(error_line(error), true); }
    /// False, and the error is sent, when the params are not in order.
    [[nodiscard]] bool params_are_good() const {
        const auto checked = params.check();
        if (!checked) fail_with(checked.error());
        return checked.has_value();
    }
};

/// Sends the node's progress as lines.
[[nodiscard]] ProgressFn progress_to(const EmitFn& emit);

/// Ends the operation with the result's JSON or with its error.
template <class T>
[[nodiscard]] DoneFn<T> done_to(const EmitFn& emit) {
    return [emit](Result<T> result) {
        emit(result ? to_line(done_event(to_json(*result))) : error_line(result.error()), true);
    };
}

}  // namespace flow29::api
