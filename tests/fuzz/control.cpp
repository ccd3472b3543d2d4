// SPDX-License-Identifier: GPL-3.0-or-later
#include <nlohmann/json.hpp>

#include "api/fd_channel.hpp"
#include "api/params.hpp"
#include "api/router.hpp"

#include <flow29/limits.hpp>

#include "fake_node.hpp"
#include "input.hpp"

namespace {

using namespace flow29;
using nlohmann::json;

/// What `cat` writes to: takes everything at once.
class Taken final : public api::ByteOutput {
  public:
    void begin(ObjectKind, ByteCount, ByteRange) override {}
    void write(ByteView, std::function<void(bool)> next) override { next(true); }
    void finish(std::function<void(bool)> done) override { done(true); }
    void abort() override {}
};

/// A stream cut anywhere gives the lines that it has.
std::vector<std::string> lines_of(std::string_view stream, fuzz::Input& cuts) {
    constexpr std::size_t line_bytes_max = 300;
    api::LineBuffer buffer(line_bytes_max);
    std::vector<std::string> lines;
    std::vector<std::string> expected;
    std::size_t begin = 0;
    for (auto at = stream.find('\n'); at != std::string_view::npos; at = stream.find('\n', begin)) {
        expected.emplace_back(stream.substr(begin, at - begin));
        begin = at + 1;
    }
    bool too_long = stream.size() - begin > line_bytes_max;
    for (const auto& line : expected)
        too_long = too_long || line.size() > line_bytes_max;
    while (!stream.empty()) {
        const auto part = stream.substr(0, 1 + cuts.number(200));
        stream.remove_prefix(part.size());
        if (!buffer.append(part)) {
            FLOW29_ASSERT(too_long);
            return lines;
        }
        while (auto line = buffer.pop_line())
            lines.push_back(std::move(*line));
    }
    FLOW29_ASSERT(!too_long ? lines == expected : lines.size() <= expected.size());
    return lines;
}

/// Whatever the fields are, what is read of them is of its type and within its bounds.
void read_params(const std::string& text) {
    api::Params params(text);
    const auto fallback = params.has("method") ? 1U : 2U;
    const auto number = params.number_or("id", fallback);
    const auto duration = params.duration_or("timeout_ms", std::chrono::milliseconds(fallback));
    FLOW29_ASSERT(duration.count() >= 0);
    const auto link = params.link("link");
    const auto range = params.range("range");
    if (params.check()) {
        FLOW29_ASSERT(params.has("id") || number == fallback);
        FLOW29_ASSERT(params.has("link") && Link::parse(link.to_string()) == link);
        FLOW29_ASSERT(range.has_value() == params.has("range") && (!range || !range->empty()));
    }
}

void call(Node& node, const std::string& line, bool may_name_paths) {
    read_params(line);
    auto request = api::parse_request(line);
    if (!request) {
        FLOW29_ASSERT(request.error().code == Errc::usage);
        return;
    }
    FLOW29_ASSERT(!request->method.empty());
    read_params(request->params);
    FLOW29_ASSERT(request->params.empty() || json::parse(request->params).is_object());
    request->may_name_paths = may_name_paths;
    if (request->method == "cat") request->output = std::make_shared<Taken>();
    fuzz::asked().clear();
    unsigned ends = 0;
    api::Router router(node, 4);
    router.call(std::move(*request), [&ends](std::string text, bool last) {
        FLOW29_ASSERT(ends == 0);
        FLOW29_ASSERT(text.find('\n') == text.size() - 1 && json::parse(text).is_object());
        ends += last ? 1 : 0;
    });
    FLOW29_ASSERT(ends == 1 && fuzz::asked().size() <= 1);
    for (const auto& asked : fuzz::asked()) {
        FLOW29_ASSERT(asked.path.empty() || (may_name_paths && asked.path.is_absolute()));
        if (asked.what == "fetch")
            FLOW29_ASSERT(!asked.path.empty() && asked.name.find('/') == std::string::npos);
        FLOW29_ASSERT(!asked.range || !asked.range->empty());
        if (asked.what == "publish")
            FLOW29_ASSERT(asked.copies >= 1 && asked.copies <= limits::copies_max);
    }
}

}  // namespace

/// What comes over the control socket: cut into lines, each a request, which the router takes to
/// the node or refuses with exactly one last line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::unique_ptr<Node> node = std::move(*Node::start({}));
    fuzz::Input input(data, size);
    const bool may_name_paths = input.flag();
    const auto stream = fuzz::text_of(data, size).substr(size - input.left());
    for (const auto& line : lines_of(stream, input))
        call(*node, line, may_name_paths);
    call(*node, std::string(stream), may_name_paths);
    return 0;
}
