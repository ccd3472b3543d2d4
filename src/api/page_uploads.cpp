// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_uploads.hpp"

#include <utility>

#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "api/http_json.hpp"
#include "api/page_request.hpp"
#include "core/json_depth.hpp"

namespace flow29::api {

HttpResponse PageUploads::begin(const HttpRequest& request) {
    if (request.method != "POST") return not_allowed("POST");
    if (core::is_nested_beyond(request.body, limits::json_depth_max))
        return json_error({Errc::usage, "it is nested too deeply"});
    const auto json = Json::parse(request.body, nullptr, false);
    const auto field = [&](const char* name) {
        return json.is_object() && json.contains(name) ? json[name] : Json();
    };
    const Json name = field("name");
    const Json bytes = field("bytes");
    const Json tag = field("tag");
    const Json is_directory = field("directory");
    if (!name.is_string() || !bytes.is_number_unsigned())
        return json_error({Errc::usage, "\"name\" and \"bytes\" must be given"});
    Uploads::Offer offer;
    offer.name = name.get<std::string>();
    offer.bytes = ByteCount(bytes.get<std::uint64_t>());
    if (tag.is_string()) offer.tag = tag.get<std::string>();
    offer.is_directory = is_directory.is_boolean() && is_directory.get<bool>();
    const auto begun = uploads_.begin(std::move(offer), Uploads::Clock::now());
    if (!begun) return json_error(begun.error());
    return say({{"id", begun->id},
                {"received_bytes", begun->received.value},
                {"total_bytes", begun->total.value}});
}

HttpResponse PageUploads::slice(const HttpRequest& request, const std::string& id) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (!reads && request.method != "PATCH") return not_allowed("GET, HEAD, PATCH");
    if (auto refusal = check_query(request, {"offset", "path"})) return std::move(*refusal);
    const std::string path = text_in(request, "path");
    if (reads) {
        const auto received = uploads_.received(id, path);
        if (!received) return json_error(received.error());
        return say({{"received_bytes", received->value}});
    }
    const auto offset = number_in(request, "offset");
    if (!offset) return json_error({Errc::usage, "\"offset\" must be given"});
    const Uploads::Slice slice{id, path, ByteCount(*offset), request.body};
    const auto received = uploads_.write(slice, Uploads::Clock::now());
    if (received) return say({{"received_bytes", received->value}});
    if (received.error().code != Errc::exists_already) return json_error(received.error());
    Json line = error_event(received.error());
    if (const auto here = uploads_.received(id, path)) line["received_bytes"] = here->value;
    return json_response(to_line(line));
}

HttpResponse PageUploads::publish(const HttpRequest& request, const std::string& id) {
    if (request.method != "POST") return not_allowed("POST");
    if (auto refusal = check_query(request, {"copies", "private"})) return std::move(*refusal);
    const auto copies = number_in(request, "copies");
    if (!copies && request.query.contains("copies"))
        return json_error({Errc::usage, "\"copies\" must be a number"});
    Json params = {{"withdraw_on_stop", true}};
    if (copies) params["copies"] = *copies;
    if (number_in(request, "private").value_or(0) != 0) params["private"] = true;
    const auto job = publish(id, std::move(params));
    return job ? say({{"job", *job}}) : json_error(job.error());
}

Result<std::uint64_t> PageUploads::publish(const std::string& id, Json params) {
    const std::lock_guard lock(mutex_);
    if (const auto running = publishing_.find(id); running != publishing_.end())
        return running->second;
    const auto complete = uploads_.close(id);
    if (!complete) return fail(complete.error());
    Jobs::Options options;
    options.kind = "publish";
    options.name = complete->name;
    options.path = complete->path.string();
    params["path"] = options.path;
    params["name"] = options.name;
    options.params = text_of(params);
    options.ended = [this, desk = desk_, id](const std::string&, bool over) {
        desk.hand_in([this, id, over] { release(id, over); });
    };
    options.forgotten = [this, desk = desk_, id] {
        // Unless it is being published once more.
        desk.hand_in([this, id] { (void)uploads_.remove(id); });
    };
    const auto job = jobs_.begin(std::move(options));
    if (job)
        publishing_[id] = *job;
    else
        uploads_.release(id, false);
    return job;
}

void PageUploads::release(const std::string& id, bool over) {
    {
        const std::lock_guard lock(mutex_);
        publishing_.erase(id);
    }
    uploads_.release(id, over);
}

HttpResponse PageUploads::cancel(const HttpRequest& request, const std::string& id) {
    if (request.method != "POST") return not_allowed("POST");
    const auto removed = uploads_.remove(id);
    return removed ? say(Json::object()) : json_error(removed.error());
}

}  // namespace flow29::api
