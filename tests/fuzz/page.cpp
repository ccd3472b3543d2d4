// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_api.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include <flow29/limits.hpp>

#include "fake_node.hpp"
#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;
using api::HttpRequest;
using api::HttpResponse;
using nlohmann::json;

/// An upload as whoever sends it knows it.
struct Upload {
    json offer;
    std::map<std::string, std::string> files;  // what came, by path; "" for a file

    [[nodiscard]] bool is_directory() const { return offer["directory"]; }
    [[nodiscard]] std::uint64_t received() const {
        std::uint64_t sum = 0;
        for (const auto& [path, content] : files)
            sum += content.size();
        return sum;
    }
};

/// A page that sends whatever it likes, and remembers what ought to be there now.
class Page {
  public:
    Page(fuzz::Input& input, const fuzz::fs::path& data)
        : input_(input), data_(data), api_(*node_, router_, data) {}

    void act() {
        switch (input_.number(7)) {
            case 0:
                return begin();
            case 1:
            case 2:
                return send();
            case 3:
                return publish();
            case 4:
                return cancel();
            case 5:
                return fetch();
            case 6:
                return input_.flag() ? look() : forget();
            default:
                return ask_anything();
        }
    }

  private:
    HttpResponse call(HttpRequest request, const std::string& path) {
        request.path = "/api/v1/" + path;
        fuzz::asked().clear();
        auto response = api_.answer(request, path, {});
        FLOW29_ASSERT(response.has_value());
        for (const auto& asked : fuzz::asked())
            if (!asked.path.empty()) check_place(asked.path);
        return std::move(*response);
    }
    /// The last line that it is.
    static json line_of(const HttpResponse& response) {
        FLOW29_ASSERT(response.status >= 200 && response.status < 600 && !response.stream);
        const auto line = json::parse(response.body);
        FLOW29_ASSERT(line.is_object() && (response.status == 200) == (line["event"] == "done"));
        return line;
    }
    json say(const char* method, const std::string& path,
             std::map<std::string, std::string> query = {}, std::string body = {}) {
        HttpRequest request;
        request.method = method;
        request.query = std::move(query);
        request.body = std::move(body);
        return line_of(call(std::move(request), path));
    }
    static bool is_done(const json& line) { return line["event"] == "done"; }

    /// No name from outside leads out of the folder of an upload or of a fetched object.
    void check_place(const fuzz::fs::path& path) const {
        FLOW29_ASSERT(path == path.lexically_normal());
        const auto inside = path.lexically_relative(data_);
        const auto parts = std::distance(inside.begin(), inside.end());
        FLOW29_ASSERT(parts == 3 && (*inside.begin() == "uploads" || *inside.begin() == "fetched"));
    }

    std::string id() {
        const auto choice = input_.octet();
        if (choice < 4) {
            auto made_up = input_.text(40);
            std::ranges::replace(made_up, '/', '_');
            return made_up;
        }
        const auto& from = choice < 16 ? ended_ : ids_;
        if (from.empty()) return "none";
        return *std::next(from.begin(), static_cast<std::ptrdiff_t>(choice % from.size()));
    }
    std::string path() {
        const auto choice = input_.number(7);
        if (choice == 0) return input_.text(40);
        return std::array{"", "a", "b", "a/b", "c/d/e", "..", "a/../b"}[choice - 1];
    }

    void begin() {
        json offer{{"name", input_.flag() ? "a.txt" : input_.text(40)},
                   {"bytes", input_.number(input_.flag() ? 60 : ~std::uint64_t{0})},
                   {"tag", input_.flag() ? "" : input_.text(4)},
                   {"directory", input_.flag()}};
        const auto body = offer.dump(-1, ' ', false, json::error_handler_t::replace);
        offer = json::parse(body);
        const auto line = say("POST", "uploads", {}, body);
        const bool is_good = api::is_file_name(offer["name"].get<std::string>()) &&
                             offer["bytes"] <= limits::object_bytes_max;
        if (!is_done(line)) {
            const bool full = ids_.size() + ended_.size() >= limits::uploads_max;
            FLOW29_ASSERT(!is_good || line["code"] == "no_space" ||
                          (full && line["code"] == "refused"));
            return;
        }
        FLOW29_ASSERT(is_good && line["total_bytes"] == offer["bytes"]);
        const std::string given = line["id"];
        if (ended_.contains(given)) return;  // whose publication has failed
        const auto same = std::ranges::find_if(
            uploads_, [&](const auto& entry) { return entry.second.offer == offer; });
        if (same == uploads_.end()) {
            FLOW29_ASSERT(!ids_.contains(given) && line["received_bytes"] == 0);
            uploads_[given].offer = offer;
            ids_.insert(given);
        } else {
            FLOW29_ASSERT(same->first == given);
            FLOW29_ASSERT(line["received_bytes"] == same->second.received());
        }
    }

    void send() {
        const auto to = id();
        const auto path = this->path();
        const auto bytes = input_.text(30);
        const auto known = uploads_.find(to);
        const auto here = known != uploads_.end() && known->second.files.contains(path)
                              ? known->second.files[path].size()
                              : 0;
        const auto offset = input_.octet() < 200 ? here : input_.number(70);
        const auto line = say("PATCH", "uploads/" + to,
                              {{"offset", std::to_string(offset)}, {"path", path}}, bytes);
        if (ended_.contains(to)) return;
        if (known == uploads_.end()) FLOW29_ASSERT(line["code"] == "not_found");
        if (known == uploads_.end()) return;
        auto& upload = known->second;
        const bool is_right = offset == here && upload.received() + bytes.size() <=
                                                    upload.offer["bytes"].get<std::uint64_t>();
        if (is_done(line)) {
            FLOW29_ASSERT(is_right && upload.is_directory() == !path.empty());
            upload.files[path] += bytes;
            FLOW29_ASSERT(line["received_bytes"] == upload.files[path].size());
            check_file(to, upload, path);
        } else if (line["code"] == "exists_already") {
            FLOW29_ASSERT(offset != here && line["received_bytes"] == here);
        } else {
            // A file is in the way of a directory, or a path is none.
            FLOW29_ASSERT(!is_right || upload.is_directory() || !path.empty());
        }
        const auto told = say("GET", "uploads/" + to, {{"path", path}});
        const auto now = upload.files.contains(path) ? upload.files[path].size() : 0;
        FLOW29_ASSERT(is_done(told) && told["received_bytes"] == now);
    }

    void check_file(const std::string& of, const Upload& upload, const std::string& path) const {
        auto file = data_ / "uploads" / of / upload.offer["name"].get<std::string>();
        if (upload.is_directory()) file /= path;
        check_place(data_ / "uploads" / of / upload.offer["name"].get<std::string>());
        FLOW29_ASSERT(file == file.lexically_normal());
        const auto content = fuzz::read_file(file);
        const auto& sent = upload.files.at(path);
        FLOW29_ASSERT(std::equal(
            content.begin(), content.end(), sent.begin(), sent.end(),
            [](std::uint8_t octet, char c) { return octet == static_cast<std::uint8_t>(c); }));
    }

    void publish() {
        const auto what = id();
        std::map<std::string, std::string> query;
        if (input_.flag()) query["copies"] = input_.flag() ? "3" : input_.text(3);
        const auto known = uploads_.find(what);
        if (known != uploads_.end())
            for (const auto& [path, content] : known->second.files)
                check_file(what, known->second, path);
        const auto line = say("POST", "uploads/" + what + "/publish", query);
        if (ended_.contains(what)) {
            if (is_done(line)) jobs_.insert(line["job"].get<std::uint64_t>());
            return;
        }
        if (!is_done(line)) {
            FLOW29_ASSERT(known == uploads_.end() || query.contains("copies") ||
                          known->second.received() != known->second.offer["bytes"]);
            return;
        }
        FLOW29_ASSERT(known != uploads_.end());
        FLOW29_ASSERT(known->second.received() == known->second.offer["bytes"]);
        for (const auto& asked : fuzz::asked())
            FLOW29_ASSERT(asked.what == "publish" &&
                          asked.path == data_ / "uploads" / what / asked.name &&
                          known->second.offer["name"] == json(asked.name));
        jobs_.insert(line["job"].get<std::uint64_t>());
        // It is removed, or can be published again, as soon as another thread comes to it.
        give_up(what);
    }
    /// From now on anything may be so of it.
    void give_up(const std::string& upload) {
        uploads_.erase(upload);
        ids_.erase(upload);
        ended_.insert(upload);
    }

    void cancel() {
        const auto what = id();
        const bool known = uploads_.contains(what);
        const auto line = say("POST", "uploads/" + what + "/cancel");
        if (ended_.contains(what)) return;
        FLOW29_ASSERT(is_done(line) == known);
        FLOW29_ASSERT(!fuzz::fs::exists(data_ / "uploads" / what) || !known);
        uploads_.erase(what);
        ids_.erase(what);
    }

    void fetch() {
        const std::string root(52, input_.flag() ? 'a' : 'q');
        std::string text = "flow29:" + root;
        if (input_.flag()) text += "/" + input_.text(300);
        if (input_.flag()) text += "?name=" + input_.text(300);
        const auto line = say("POST", "fetch", {{"link", text}});
        const auto link = Link::parse(text);
        FLOW29_ASSERT(is_done(line) == link.has_value());
        if (!link) return;
        note_fetch(*link, line["job"].get<std::uint64_t>());
        for (const auto& asked : fuzz::asked()) {
            if (asked.what == "objects") continue;  // what it is called here
            FLOW29_ASSERT(asked.what == "fetch");
            FLOW29_ASSERT(asked.path.parent_path() == data_ / "fetched" / root.substr(0, 16));
            FLOW29_ASSERT(api::is_file_name(asked.path.filename().string() + ".flow29-part"));
        }
    }

    /// One of the same link gives way.
    void note_fetch(const Link& link, std::uint64_t job) {
        const auto [same, is_new] = fetches_.try_emplace(link.to_string(), job);
        if (!is_new) jobs_.erase(std::exchange(same->second, job));
        jobs_.insert(job);
    }

    void forget() {
        const auto which = input_.number(12);
        const auto line = say("POST", "jobs/forget", {{"id", std::to_string(which)}});
        FLOW29_ASSERT(is_done(line) == (jobs_.erase(which) == 1));
    }

    /// What the events say first.
    void look() {
        HttpRequest request;
        request.method = "GET";
        const auto response = call(std::move(request), "events");
        FLOW29_ASSERT(response.status == 200 && response.is_endless && response.stream);
        const auto piece = response.stream->next();
        FLOW29_ASSERT(piece.has_value());
        const std::string said(piece->begin(), piece->end());
        const std::string before = "id: 1\nevent: update\ndata: ";
        FLOW29_ASSERT(said.starts_with(before) &&
                      said.find('\n', before.size()) == said.size() - 2);
        const auto update = json::parse(said.substr(before.size()));
        std::set<std::uint64_t> told;
        for (const auto& job : update["jobs"]) {
            FLOW29_ASSERT(job["state"] == "done" || job["state"] == "failed");
            told.insert(job["id"].get<std::uint64_t>());
        }
        FLOW29_ASSERT(update["version"] == 1 && told == jobs_);
    }

    /// Requests that are none of the above. Those that would change something have no id.
    void ask_anything() {
        HttpRequest request;
        const auto choice = input_.octet();
        request.method = std::array{"GET", "HEAD", "POST", "PATCH"}[choice % 4];
        for (auto left = input_.number(2); left > 0; --left)
            request.query.emplace(input_.flag() ? "offset" : input_.text(6), input_.text(20));
        const std::string path =
            std::array{"uploads",          "uploads/", "uploads/x",  "uploads/x/publish",
                       "uploads/x/cancel", "fetch",    "jobs/forget"}[choice / 4 % 7];
        request.body = path == "uploads" ? "{" + input_.text(60) : input_.text(60);
        const auto parameter = [&](const char* name) {
            const auto named = request.query.find(name);
            return named == request.query.end() ? std::string() : named->second;
        };
        const auto job = parameter("id");
        const auto link = parameter("link");
        const auto line = line_of(call(std::move(request), path));
        if (!is_done(line)) return;
        // By chance it was a good one after all.
        if (path == "fetch") note_fetch(*Link::parse(link), line["job"].get<std::uint64_t>());
        if (line.contains("id")) give_up(line["id"].get<std::string>());
        if (path == "jobs/forget") jobs_.erase(std::stoull(job));
        FLOW29_ASSERT(path == "uploads" || path == "fetch" || path == "jobs/forget");
    }

    fuzz::Input& input_;
    fuzz::fs::path data_;
    std::unique_ptr<Node> node_ = std::move(*Node::start({}));
    api::Router router_{*node_, 4};
    api::PageApi api_;
    std::map<std::string, Upload> uploads_;
    std::set<std::string> ids_;    // of those
    std::set<std::string> ended_;  // given to the node, or another page's
    std::set<std::uint64_t> jobs_;
    std::map<std::string, std::uint64_t> fetches_;  // by link
};

}  // namespace

/// A page's uploads, fetches and what it is told of them, in any order.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::Place place;
    fuzz::Input input(data, size);
    {
        Page page(input, place.path());
        for (int left = 60; left > 0 && !input.empty(); --left)
            page.act();
    }
    for (const auto& entry : fuzz::fs::directory_iterator(place.path()))
        fuzz::fs::remove_all(entry.path());
    return 0;
}
