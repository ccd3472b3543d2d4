// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/output.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "api/json_results.hpp"
#include "cli/settings.hpp"
#include "cli/text.hpp"
#include "core/clock.hpp"
#include "core/printable.hpp"

namespace flow29::cli {
namespace {

TerminalSize terminal_size(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
    return {size.ws_col, size.ws_row};
}

bool may_colour(const GlobalOptions& global) {
    return !global.no_color && !process_environment("NO_COLOR");
}

ProgressStyle style_for(const GlobalOptions& global) {
    ProgressStyle style;
    const bool terminal =
        ::isatty(STDERR_FILENO) == 1 && process_environment("TERM").value_or("") != "dumb";
    style.colour = terminal && may_colour(global);
    style.width = terminal_size(STDERR_FILENO).width;
    if (global.json || global.quiet || global.progress == ProgressMode::never) return style;
    const bool redraw = terminal || global.progress == ProgressMode::always;
    style.kind = redraw ? ProgressStyle::Kind::redraw : ProgressStyle::Kind::lines;
    return style;
}

}  // namespace

Output::Output(const GlobalOptions& global)
    : json_(global.json),
      quiet_(global.quiet),
      progress_lines_(global.json && !global.quiet && global.progress != ProgressMode::never),
      stdout_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      colour_(stdout_is_terminal_ && may_colour(global)),
      note_colour_(::isatty(STDERR_FILENO) == 1 && may_colour(global)),
      mode_(global.progress),
      view_(style_for(global)) {}

Output::~Output() {
    write(STDERR_FILENO, view_.on_end(core::monotonic_now()));
}

TerminalSize Output::size() const {
    return terminal_size(STDOUT_FILENO);
}

void Output::give_up_stdout() {
    json_fd_ = STDERR_FILENO;
    if (stdout_is_terminal_ && mode_ != ProgressMode::always) view_ = ProgressView({});
}

void Output::write(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            // Whoever closed the stream wants no more of it; the exit status still tells.
            if (fd != STDOUT_FILENO || errno == EPIPE) return;
            lost_errno_ = errno;
            lost_ += text;
            return;
        }
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

void Output::progress(const ProgressEvent& event, std::string_view line) {
    if (progress_lines_) {
        write(json_fd_, line);
        return;
    }
    write(STDERR_FILENO, view_.on_progress(event, core::monotonic_now()));
}

void Output::tick() {
    write(STDERR_FILENO, view_.on_tick(core::monotonic_now()));
}

void Output::json(std::string_view line) {
    write(json_fd_, line);
}

void Output::result(std::string_view text) {
    if (json_) return;
    write(STDERR_FILENO, view_.on_end(core::monotonic_now()));
    write(STDOUT_FILENO, text);
}

void Output::note(std::string_view text) {
    if (json_ || quiet_) return;
    write(STDERR_FILENO, view_.on_end(core::monotonic_now()));
    write(STDERR_FILENO, text);
}

int Output::fail(const Error& error) {
    write(STDERR_FILENO, view_.on_end(core::monotonic_now()));
    if (json_) {
        write(json_fd_, api::error_line(error));
    } else {
        write(STDERR_FILENO, "flow29: " + printable_lines(error.message()) + "\n");
    }
    return exit_code(error.code);
}

int Output::end_view() {
    const Error interrupted{Errc::interrupted, "interrupted"};
    if (json_) return fail(interrupted);
    // The terminal wrote ^C where the prompt would come.
    if (stdout_is_terminal_) write(STDERR_FILENO, "\n");
    return exit_code(interrupted.code);
}

int Output::ended(int status) {
    if (lost_errno_ == 0) return status;
    const auto error = fail_errno(lost_errno_, "standard output").value();
    write(STDERR_FILENO,
          "flow29: " + core::printable(error.message()) + "; this was to go there:\n");
    write(STDERR_FILENO, lost_);
    return status != 0 ? status : exit_code(error.code);
}

}  // namespace flow29::cli
