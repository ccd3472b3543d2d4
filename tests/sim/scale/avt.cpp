// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/avt.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace flow29::sim::scale {
namespace {

constexpr double seconds_max = 4e9;  // a Unix time in seconds; whole nanoseconds of it fit
constexpr std::string_view blanks = " \t\r";

/// In seconds, as they stand in the file.
struct Session {
    double start;
    double end;
};

std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    return word;
}

template <class Number>
bool parse(std::string_view word, Number& number) {
    const char* const end = word.data() + word.size();
    const auto result = std::from_chars(word.data(), end, number);
    return result.ec == std::errc{} && result.ptr == end && !word.empty();
}

/// Sessions that touch are one, and one without length is none.
void append(std::vector<Session>& sessions, const Session& session) {
    if (session.end == session.start) return;
    if (!sessions.empty() && sessions.back().end == session.start)
        sessions.back().end = session.end;
    else
        sessions.push_back(session);
}

/// What is wrong with the line, or nothing.
std::string_view read_line(std::string_view line, std::vector<Session>& sessions) {
    next_word(line);  // the name may be anything
    std::size_t said = 0;
    if (!parse(next_word(line), said)) return "the number of sessions is not one";
    std::size_t found = 0;
    double last = 0;
    for (auto word = next_word(line); !word.empty(); word = next_word(line), ++found) {
        Session session{};
        if (!parse(word, session.start)) return "a start is not a number";
        if (!parse(next_word(line), session.end)) return "an end is missing or not a number";
        // Written so that what is not a number at all is out of order as well.
        if (!(session.start >= last && session.end >= session.start))
            return "the times do not ascend";
        if (session.end > seconds_max) return "a time is out of range";
        last = session.end;
        append(sessions, session);
    }
    if (found != said) return "there are not as many sessions as it says";
    return {};
}

Duration to_duration(double seconds) {
    return Duration(std::llround(seconds * 1e9));
}

}  // namespace

Result<AvtTrace> read_avt(std::istream& in) {
    std::vector<std::vector<Session>> nodes;
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
        const auto first = line.find_first_not_of(blanks);
        if (first == std::string::npos || line[first] == '#') continue;
        std::vector<Session> sessions;
        const std::string_view wrong = read_line(line, sessions);
        if (!wrong.empty())
            return fail(Errc::usage, "line " + std::to_string(number) + ": " + std::string(wrong));
        if (!sessions.empty()) nodes.push_back(std::move(sessions));
    }
    if (in.bad()) return fail(Errc::usage, "the trace cannot be read");
    if (nodes.empty()) return fail(Errc::usage, "no node of the trace is ever up");

    double first = std::numeric_limits<double>::max();
    for (const auto& sessions : nodes)
        first = std::min(first, sessions.front().start);
    AvtTrace trace;
    for (const auto& sessions : nodes) {
        auto& intervals = trace.nodes.emplace_back();
        for (const Session& session : sessions)
            intervals.push_back(
                {to_duration(session.start - first), to_duration(session.end - first)});
        trace.length = std::max(trace.length, intervals.back().end);
    }
    return trace;
}

}  // namespace flow29::sim::scale
