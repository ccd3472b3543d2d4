// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include <flow29/error.hpp>

#include "cli/event.hpp"
#include "cli/options.hpp"
#include "cli/progress_view.hpp"
#include "core/time.hpp"

namespace flow29::cli {

/// What a terminal shows at a time, in cells; the usual size, when it does not say.
struct TerminalSize {
    std::size_t width = 80;
    std::size_t height = 24;
};

/// The two standard streams. With --json, standard output carries one JSON object a line and
/// nothing else; without, it carries results, and standard error everything that is said about
/// them.
class Output {
  public:
    explicit Output(const GlobalOptions& global);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    [[nodiscard]] bool is_json() const { return json_; }
    [[nodiscard]] bool is_quiet() const { return quiet_; }
    /// True when results go to a terminal that may be drawn on.
    [[nodiscard]] bool can_redraw() const { return stdout_is_terminal_; }
    /// Of that terminal.
    [[nodiscard]] TerminalSize size() const;
    [[nodiscard]] bool has_colour() const { return colour_; }
    /// The same of notes.
    [[nodiscard]] bool can_colour_notes() const { return note_colour_; }

    /// From now on standard output belongs to an object's bytes: JSON goes to standard error, and
    /// progress is not drawn into bytes that a terminal shows.
    void give_up_stdout();

    void progress(const ProgressEvent& event, std::string_view line);
    void tick();

    /// A result: JSON with its newline, or text for a person.
    void json(std::string_view line);
    void result(std::string_view text);
    /// Something said beside the result; dropped by -q and --json.
    void note(std::string_view text);
    /// Reports the error in the form that was asked for. Returns the exit status.
    int fail(const Error& error);
    /// For a view that lasts until a signal: with JSON an error as any other, nothing for a person,
    /// who knows. Returns the exit status.
    int end_view();
    /// The exit status of a command that ended with `status`: another one when standard output did
    /// not take what went there, as on a full disk. Then that is said, with what was lost.
    [[nodiscard]] int ended(int status);

  private:
    void write(int fd, std::string_view text);

    bool json_;
    bool quiet_;
    bool progress_lines_;  // of JSON
    bool stdout_is_terminal_;
    bool colour_;
    bool note_colour_;
    int json_fd_ = 1;
    int lost_errno_ = 0;  // of standard output
    std::string lost_;
    ProgressMode mode_;
    ProgressView view_;
};

}  // namespace flow29::cli
