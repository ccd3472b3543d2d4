// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/error.hpp>

#include <cerrno>

namespace flow29 {
namespace {

struct ErrcFacts {
    std::string_view name;
    int exit_code;
    const char* message;
};

// No default branch: the compiler then reports an enumerator that is missing here.
ErrcFacts facts_of(Errc code) noexcept {
    switch (code) {
        case Errc::ok:
            return {"ok", 0, "no error"};
        case Errc::other:
            return {"other", 1, "unexpected failure"};
        case Errc::usage:
            return {"usage", 2, "malformed argument, option, link or setting"};
        case Errc::no_node:
            return {"no_node", 3, "no node is running here"};
        case Errc::not_found:
            return {"not_found", 4, "nobody reachable holds it"};
        case Errc::timed_out:
            return {"timed_out", 5, "nothing moved for too long"};
        case Errc::verification_failed:
            return {"verification_failed", 6, "the bytes do not match the hash that names them"};
        case Errc::no_network:
            return {"no_network", 7, "no other node answers"};
        case Errc::no_space:
            return {"no_space", 8, "quota or disk full"};
        case Errc::file_error:
            return {"file_error", 9, "the file system refused"};
        case Errc::exists_already:
            return {"exists_already", 10, "it exists already"};
        case Errc::refused:
            return {"refused", 11, "refused"};
        case Errc::partly_done:
            return {"partly_done", 12, "done only in part"};
        case Errc::interrupted:
            return {"interrupted", 130, "interrupted"};
        case Errc::peer_misbehaved:
            return {"peer_misbehaved", 6, "a peer broke the protocol"};
        case Errc::peer_lacks:
            return {"peer_lacks", 4, "the peer does not hold it"};
        case Errc::peer_unreachable:
            return {"peer_unreachable", 7, "the peer does not answer"};
        case Errc::peer_busy:
            return {"peer_busy", 11, "the peer is at a limit of its own"};
        case Errc::corrupt_store:
            return {"corrupt_store", 6, "stored data no longer match their checksum"};
        case Errc::is_directory:
            return {"is_directory", 2, "it is a directory"};
        case Errc::locked:
            return {"locked", 9, "another process uses the data directory"};
    }
    // A number that came through an error_code and is none of ours.
    return {"other", 1, "unknown error"};
}

class ErrcCategory final : public std::error_category {
  public:
    const char* name() const noexcept override { return "flow29"; }
    std::string message(int value) const override {
        return facts_of(static_cast<Errc>(value)).message;
    }
};

}  // namespace

const std::error_category& errc_category() noexcept {
    static const ErrcCategory category;
    return category;
}

std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), errc_category()};
}

std::string_view errc_name(Errc code) noexcept {
    return facts_of(code).name;
}

int exit_code(Errc code) noexcept {
    return facts_of(code).exit_code;
}

std::string Error::message() const {
    return context.empty() ? std::string(facts_of(code).message) : context;
}

tl::unexpected<Error> fail_errno(int errnum, std::string what) {
    Errc code = Errc::file_error;
    if (errnum == ENOSPC || errnum == EDQUOT) code = Errc::no_space;
    if (errnum == EEXIST) code = Errc::exists_already;
    what += ": ";
    what += std::generic_category().message(errnum);
    return fail(code, std::move(what));
}

}  // namespace flow29
