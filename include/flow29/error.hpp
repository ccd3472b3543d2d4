// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tl/expected.hpp>

namespace flow29 {

/// What went wrong, as far as a caller can act on it. The command line's exit codes follow these.
enum class Errc {
    ok = 0,
    other = 1,
    usage,                ///< an argument, option, link or setting is malformed
    no_node,              ///< no daemon answers on the control socket
    not_found,            ///< nobody reachable holds it, or it is not in the local catalogue
    timed_out,            ///< nothing moved for the idle timeout
    verification_failed,  ///< bytes, a proof or a signature do not match the hash that names them
    no_network,           ///< no bootstrap address and no known neighbour answered
    no_space,             ///< quota or disk full
    file_error,           ///< the local file system refused
    exists_already,       ///< the output is there and may not be replaced
    refused,              ///< the other side, or a rule here, said no
    partly_done,          ///< fewer copies than asked, or only some of several inputs
    interrupted,          ///< cancelled by the user
    peer_misbehaved,      ///< a peer broke the protocol or lied: blame and stop using it
    peer_lacks,           ///< a peer does not hold what was asked: ask another
    peer_unreachable,     ///< a peer's address does not answer, or the connection ended
    peer_busy,            ///< a peer is at a limit of its own: ask later or elsewhere
    corrupt_store,        ///< local data no longer match their checksum
    is_directory,         ///< it is a directory, and a file is needed
    locked,               ///< another process uses the data directory
};

/// `Errc` as an error category, so that it mixes with the system's codes.
[[nodiscard]] const std::error_category& errc_category() noexcept;
[[nodiscard]] std::error_code make_error_code(Errc code) noexcept;

/// The stable word for scripts: "not_found", "timed_out"…
[[nodiscard]] std::string_view errc_name(Errc code) noexcept;
/// The exit status of the command line for this error, 0 to 130.
[[nodiscard]] int exit_code(Errc code) noexcept;

/// An expected failure: a code a program can act on and a sentence a person can.
struct Error {
    Errc code = Errc::other;
    std::string context;

    /// The context, or the code's general message when there is none.
    [[nodiscard]] std::string message() const;
};

/// A value or an expected failure.
template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string context = {}) {
    return tl::unexpected<Error>(Error{code, std::move(context)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
    return tl::unexpected<Error>(std::move(error));
}
/// `what` followed by the system's own words for `errnum` (an errno value).
[[nodiscard]] tl::unexpected<Error> fail_errno(int errnum, std::string what);

}  // namespace flow29

template <>
struct std::is_error_code_enum<flow29::Errc> : std::true_type {};
