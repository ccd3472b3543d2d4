// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/call.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include <flow29/limits.hpp>

#include <fmt/format.h>

#include "api/fd_channel.hpp"
#include "cli/event.hpp"
#include "core/clock.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

constexpr int tick_ms = 200;
// A cancelled operation may have to note what it has, so that it can be resumed.
constexpr auto cancel_patience = 3s;

/// Reads the lines of one answer.
class Answer {
  public:
    Answer(api::UniqueFd socket, Context& context)
        : socket_(std::move(socket)), context_(context) {}

    [[nodiscard]] Result<std::string> wait() {
        for (;;) {
            pollfd waited[] = {{socket_.get(), POLLIN, 0}, {context_.interrupt.fd(), POLLIN, 0}};
            const int ready = ::poll(waited, 2, tick_ms);
            if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
            context_.output.tick();
            if (context_.interrupt.take() && !cancel()) return interrupted();
            if (gave_up_at_ && core::monotonic_now() >= *gave_up_at_) return interrupted();
            if (waited[0].revents == 0) continue;
            if (auto last = read_lines()) return std::move(*last);
        }
    }

  private:
    [[nodiscard]] static Result<std::string> interrupted() {
        return fail(Errc::interrupted, "interrupted");
    }

    /// False the second time: whoever asks twice does not want to wait.
    [[nodiscard]] bool cancel() {
        if (gave_up_at_) return false;
        gave_up_at_ = core::monotonic_now() + cancel_patience;
        ::shutdown(socket_.get(), SHUT_WR);
        return true;
    }

    /// Nothing until the last line has come.
    [[nodiscard]] std::optional<Result<std::string>> read_lines() {
        auto received = api::receive_some(socket_.get());
        if (!received) return fail(received.error());
        if (received->end && gave_up_at_) return interrupted();
        if (received->end)
            return fail(
                Errc::no_node,
                "the node ended before it answered; its output, or the service's journal, says "
                "why, and `flow29 node` starts it again");
        if (const auto taken = buffer_.append(received->octets); !taken) return fail(taken.error());
        while (auto line = buffer_.pop_line()) {
            auto event = parse_event(*line);
            if (!event) return fail(event.error());
            line->push_back('\n');
            switch (event->kind) {
                case Event::Kind::progress:
                    context_.output.progress(event->progress, *line);
                    break;
                case Event::Kind::done:
                    return std::move(*line);
                case Event::Kind::error:
                    // What became of what was begun is the node's to say.
                    if (gave_up_at_ && event->error.code != Errc::interrupted) return interrupted();
                    return fail(std::move(event->error));
            }
        }
        return std::nullopt;
    }

    api::UniqueFd socket_;
    Context& context_;  // owned by the command
    api::LineBuffer buffer_{limits::control_answer_bytes_max};
    std::optional<TimePoint> gave_up_at_;
};

}  // namespace

Result<std::string> run_call(Backend& backend, CallSpec spec, Context& context) {
    auto socket = backend.connect();
    if (!socket) return fail(socket.error());
    const std::string request = fmt::format("{{\"method\":\"{}\",\"params\":{}}}\n", spec.method,
                                            spec.params.empty() ? std::string("{}") : spec.params);
    std::vector<int> borrowed;
    for (const api::UniqueFd& fd : spec.descriptors)
        borrowed.push_back(fd.get());
    const auto sent = api::send_all(socket->get(), request, borrowed);
    if (!sent) return fail(sent.error());
    spec.descriptors.clear();
    return Answer(std::move(*socket), context).wait();
}

}  // namespace flow29::cli
