// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <nlohmann/json.hpp>

#include "api/json_results.hpp"
#include "cli/commands.hpp"
#include "cli/render.hpp"
#include "cli/requests.hpp"
#include "cli/settings.hpp"

extern char** environ;

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto follow_period = 500ms;
constexpr const char* opener = "xdg-open";

/// The first line of a small file; nothing when there is none.
std::string first_line(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// Has the desktop show the page. False when there is nothing that could.
bool open_url(std::string url) {
    std::string program = opener;
    char* arguments[] = {program.data(), url.data(), nullptr};
    pid_t child = 0;
    if (::posix_spawnp(&child, opener, nullptr, nullptr, arguments, environ) != 0) return false;
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int run_log(const LogOptions& options, Context& context) {
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    std::uint64_t after = 0;
    for (bool is_first = true;; is_first = false) {
        const auto line = run_call(**backend, {"log", log_params(options, after), {}}, context);
        if (!line && options.follow && line.error().code == Errc::interrupted)
            return context.output.end_view();
        if (!line) return context.output.fail(line.error());
        const LogText log = render_log(*line);
        // When following, a look that finds nothing new says nothing.
        const bool is_news = is_first || log.next != after;
        if (context.output.is_json() && is_news)
            context.output.json(options.follow ? with_event(*line, "update") : *line);
        context.output.result(log.text);
        if (!options.follow) return 0;
        after = log.next;
        if (context.interrupt.was_taken() || context.interrupt.wait_for(follow_period))
            return context.output.end_view();
    }
}

int run_web(const WebOptions& options, Context& context) {
    const auto own = Backend::daemon(context.config);
    if (!own) {
        if (own.error().code == Errc::no_node && Backend::running(context))
            return context.output.fail(
                {Errc::refused,
                 "the page is for the user whose node it is, and for root, who names its data (as "
                 "with `sudo flow29 --data /var/lib/flow29 web`, where the package's is); others "
                 "of its group use it by other commands"});
        return context.output.fail(own.error());
    }
    const std::string url = first_line(page_url_file(context.config));
    if (url.empty())
        return context.output.fail(
            {Errc::not_found, "this node serves no page; `flow29 node --web ADDR:PORT` does"});
    if (context.output.is_json()) {
        const api::Json json = {{"url", url},
                                {"token", first_line(page_token_file(context.config))}};
        context.output.json(api::to_line(api::done_event(json)));
        return 0;
    }
    // A page that another user's browser asks for comes without it.
    const std::string with_token = url + "#token=" + first_line(page_token_file(context.config));
    context.output.result(with_token + "\n");
    const bool shows = !options.print && ::isatty(STDOUT_FILENO) == 1;
    if (shows && !open_url(with_token))
        context.output.note(fmt::format("{} could not open it; open it in a browser\n", opener));
    return 0;
}

}  // namespace flow29::cli
