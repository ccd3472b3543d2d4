// SPDX-License-Identifier: GPL-3.0-or-later
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "api/fd_channel.hpp"
#include "cli/commands.hpp"
#include "cli/granted.hpp"
#include "cli/link_argument.hpp"
#include "cli/qr.hpp"
#include "cli/render.hpp"
#include "cli/requests.hpp"
#include "cli/source_file.hpp"
#include "cli/text.hpp"
#include "node/source.hpp"

namespace flow29::cli {
namespace {

/// Opens, spools where needed, and publishes one input. Returns the node's last line.
Result<std::string> publish_one(const PublishOptions& options, const std::string& path,
                                Backend& backend, Context& context) {
    auto opened = open_source(path);
    if (!opened) return fail(opened.error());
    if (options.by_reference) {
        if (opened->is_directory)
            return fail(Errc::usage,
                        path +
                            " is a directory, and only files can be kept by reference; publish it "
                            "without --by-reference");
        if (!opened->is_regular || path == "-")
            return fail(
                Errc::usage,
                path +
                    " cannot be kept by reference: it is no file that stays; publish it without "
                    "--by-reference");
        auto absolute = absolute_path(path);
        if (!absolute) return fail(absolute.error());
        opened->source.path = std::move(*absolute);
    }
    if (options.times && !opened->is_directory)
        return fail(Errc::usage, path + ": " + node::no_time_text);
    if (!options.name.empty()) opened->source.name = options.name;
    if (!opened->is_regular && !opened->is_directory) {
        const auto spooled = spool(*opened, backend.data(), context.output, context.interrupt);
        if (!spooled) return fail(spooled.error());
    }
    CallSpec spec;
    spec.method = "publish";
    spec.params = publish_params(options, opened->source);
    GrantedFiles granted;
    if (opened->is_directory && !backend.is_in_process()) {
        auto reading = grant_reading(std::move(opened->fd));
        if (!reading) return fail(reading.error());
        granted = std::move(*reading);
        opened->fd = std::move(granted.socket);
    }
    spec.descriptors.push_back(std::move(opened->fd));
    return run_call(backend, std::move(spec), context);
}

/// Says what was published; true when it has fewer copies than asked.
bool report_published(const PublishOptions& options, const std::string& line, bool in_process,
                      Output& output) {
    const PublishedText text = render_published(line, in_process);
    output.result(text.link);
    if (options.qr && text.parsed) output.note(qr_code(*text.parsed, output.can_colour_notes()));
    output.note(text.note);
    return text.degraded;
}

int publish_single(const PublishOptions& options, Backend& backend, Context& context) {
    const auto line = publish_one(options, options.paths.front(), backend, context);
    if (!line) return context.output.fail(line.error());
    if (context.output.is_json()) context.output.json(*line);
    return exit_code(report_published(options, *line, backend.is_in_process(), context.output)
                         ? Errc::partly_done
                         : Errc::ok);
}

int publish_several(const PublishOptions& options, Backend& backend, Context& context) {
    Output& output = context.output;
    std::vector<std::string> lines;
    std::vector<FailedInput> failed;
    bool degraded = false;
    for (const std::string& path : options.paths) {
        const auto line = publish_one(options, path, backend, context);
        if (!line) {
            if (line.error().code == Errc::interrupted) return output.fail(line.error());
            failed.push_back({path, line.error()});
            if (output.is_json()) {
                output.json(failed_event(failed.back()));
            } else {
                output.fail({line.error().code, path + ": " + line.error().message()});
            }
            continue;
        }
        lines.push_back(*line);
        if (output.is_json()) output.json(published_event(*line, path));
        degraded |= report_published(options, *line, backend.is_in_process(), output);
    }
    if (lines.empty()) {
        const Errc code = failed.front().error.code;
        return output.fail({code, fmt::format("none of {} inputs was published", failed.size())});
    }
    if (output.is_json()) output.json(publish_summary(lines, failed));
    return exit_code(degraded || !failed.empty() ? Errc::partly_done : Errc::ok);
}

/// Copies what comes from a socket to standard output until the end, in a thread of its own.
class Copier {
  public:
    explicit Copier(api::UniqueFd from) : from_(std::move(from)), thread_([this] { run(); }) {}
    ~Copier() {
        ::shutdown(from_.get(), SHUT_RDWR);
        if (thread_.joinable()) thread_.join();
    }
    Copier(const Copier&) = delete;
    Copier& operator=(const Copier&) = delete;

    /// Waits for the end; what writing failed with, an errno value, or 0.
    [[nodiscard]] int finish() {
        thread_.join();
        return write_error_;
    }

  private:
    void run() {
        std::vector<char> buffer(256 * 1024);
        for (;;) {
            const ssize_t count = ::read(from_.get(), buffer.data(), buffer.size());
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) return;
            if (write_out(buffer.data(), static_cast<std::size_t>(count))) continue;
            // The node notices, and ends the operation.
            ::shutdown(from_.get(), SHUT_RDWR);
            return;
        }
    }

    bool write_out(const char* data, std::size_t size) {
        while (size != 0) {
            const ssize_t count = ::write(STDOUT_FILENO, data, size);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) {
                write_error_ = errno;
                return false;
            }
            data += count;
            size -= static_cast<std::size_t>(count);
        }
        return true;
    }

    api::UniqueFd from_;
    int write_error_ = 0;  // read after the thread has ended
    std::thread thread_;   // last: it uses the others
};

/// Ends this process as a reader that went away ends any filter.
[[noreturn]] void die_of_broken_pipe() {
    static_cast<void>(std::signal(SIGPIPE, SIG_DFL));
    static_cast<void>(std::raise(SIGPIPE));
    std::_Exit(exit_code(Errc::file_error));
}

/// `-o` as given, or a name in the working directory. When `-o` is a directory a file goes into it;
/// the node knows whether it is one.
Result<FetchOutput> output_of(const FetchOptions& options, const Link& link) {
    const std::string name = file_name_for(link);
    if (options.output == "-")
        return fail(Errc::usage, "-o names a file; `flow29 cat LINK` writes to standard output");
    auto path = absolute_path(options.output.value_or(name));
    if (!path) return fail(path.error());
    FetchOutput output{std::move(*path)};
    std::error_code ignored;  // what cannot be looked at is no directory
    const auto there = std::filesystem::symlink_status(output.path, ignored).type();
    const bool is_directory = std::filesystem::is_directory(output.path, ignored);
    if (options.output && options.output->ends_with('/') && !is_directory)
        return fail(Errc::file_error,
                    *options.output +
                        " is no directory yet: make it, if a file is to go into it, "
                        "or leave the / out, if what is fetched is to be called that");
    if (options.output && is_directory) output.name = name;
    // What else lies there, and what becomes of that, depends on what is fetched.
    if (!options.overwrite && there == std::filesystem::file_type::regular)
        return fail(Errc::exists_already, output.path.string() +
                                              " exists already; --overwrite replaces it, if "
                                              "what is fetched is a file");
    return output;
}

}  // namespace

int run_publish(const PublishOptions& options, Context& context) {
    Output& output = context.output;
    if (options.paths.size() > 1 && !options.name.empty())
        return output.fail(
            {Errc::usage, "--name is for one PATH; publish them one by one, or a directory"});
    auto backend = Backend::any(context, {});
    if (!backend) return output.fail(backend.error());
    if ((*backend)->is_in_process() && options.wait != PublishWait::copies)
        return output.fail({Errc::usage,
                            "--wait announced and --wait none need a running node: "
                            "without one, this process is the only holder and ends; "
                            "start one with `flow29 node`"});
    if (options.paths.size() == 1) return publish_single(options, **backend, context);
    return publish_several(options, **backend, context);
}

int run_fetch(const FetchOptions& options, Context& context) {
    Output& output = context.output;
    const auto link = read_link(options.link, process_environment);
    if (!link) return output.fail(link.error());
    auto target = output_of(options, *link);
    if (!target) return output.fail(target.error());
    if (options.keep_copy && options.no_share)
        return output.fail({Errc::usage, "--keep-copy is how to share, and --no-share is not to"});

    auto backend = Backend::any(context, link->at);
    if (!backend) return output.fail(backend.error());
    CallSpec spec;
    spec.method = "fetch";
    GrantedFiles granted;
    if (!(*backend)->is_in_process()) {
        auto writing = grant_writing(*target, options.overwrite);
        if (!writing) return output.fail(writing.error());
        granted = std::move(*writing);
        spec.descriptors.push_back(std::move(granted.socket));
    }
    spec.params = fetch_params(options, link->to_string(), *target);
    const auto line = run_call(**backend, std::move(spec), context);
    if (!line) {
        Error error = line.error();
        if (error.code == Errc::interrupted)
            error.context += "; the same command goes on where it stopped";
        return output.fail(error);
    }
    if (output.is_json()) output.json(*line);
    if (!output.is_quiet()) output.result(render_fetched(*line));
    if (const auto sharing = render_sharing(*line); !sharing.empty()) output.note(sharing);
    return 0;
}

int run_cat(const CatOptions& options, Context& context) {
    Output& output = context.output;
    output.give_up_stdout();
    const auto link = read_link(options.link, process_environment);
    if (!link) return output.fail(link.error());
    auto backend = Backend::any(context, link->at);
    if (!backend) return output.fail(backend.error());
    auto pair = api::make_socket_pair();
    if (!pair) return output.fail(pair.error());

    CallSpec spec;
    spec.method = "cat";
    spec.params = cat_params(options, link->to_string());
    spec.descriptors.push_back(std::move(pair->there));
    Copier copier(std::move(pair->here));
    const auto line = run_call(**backend, std::move(spec), context);
    if (!line && line.error().code == Errc::interrupted && context.interrupt.was_taken()) {
        const int status = output.fail(line.error());
        // The copier may be stuck in a write that nobody reads.
        std::_Exit(status);
    }
    const int write_error = copier.finish();
    if (write_error == EPIPE) die_of_broken_pipe();
    if (write_error != 0)
        return output.fail(fail_errno(write_error, "cannot write to standard output").value());
    if (!line) return output.fail(line.error());
    if (output.is_json()) output.json(*line);
    return 0;
}

}  // namespace flow29::cli
