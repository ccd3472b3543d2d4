// SPDX-License-Identifier: GPL-3.0-or-later
#include "fake_node.hpp"

#include <memory>

#include "api/http_listener.hpp"

namespace flow29 {
namespace {

using fuzz::asked;

/// Hands a range of the file over, piece by piece, as fast as it is taken.
struct Delivery {
    ByteRange left;
    SinkFn sink;
    DoneFn<FetchResult> done;
    std::stop_token stop;
};
void deliver(const std::shared_ptr<Delivery>& delivery) {
    constexpr std::uint64_t piece_bytes = 256;
    auto& left = delivery->left;
    if (delivery->stop.stop_requested())
        return delivery->done(fail(Errc::interrupted, "nobody wants it"));
    if (left.empty()) return delivery->done(FetchResult{});
    Bytes piece;
    while (piece.size() < piece_bytes && !left.empty()) {
        piece.push_back(fuzz::file_octet(left.first.value));
        left.first += ByteCount(1);
    }
    delivery->sink(piece, [delivery](bool go_on) {
        if (go_on) return deliver(delivery);
        delivery->done(fail(Errc::interrupted, "the reader went away"));
    });
}

}  // namespace

std::vector<fuzz::Asked>& fuzz::asked() {
    static thread_local std::vector<Asked> all;
    return all;
}
api::HttpHandler& fuzz::handler() {
    static api::HttpHandler last;
    return last;
}
bool fuzz::is_directory(const Link& link) {
    return link.root.bytes[0] % 2 == 0 && (link.path.empty() || link.path.ends_with('/'));
}

struct Node::State {};
Node::Node(std::unique_ptr<State> state) : state_(std::move(state)) {}
Node::~Node() = default;
Result<std::unique_ptr<Node>> Node::start(const Config&) {
    return std::unique_ptr<Node>(new Node(std::make_unique<State>()));
}

void Node::publish(PublishRequest request, ProgressFn progress, DoneFn<PublishResult> done) {
    asked().push_back({"publish", request.path, request.name, {}, request.copies});
    if (progress) progress({});
    PublishResult result;
    result.target = request.copies;
    result.link.name = request.name;
    done(std::move(result));
}
void Node::fetch(FetchRequest request, ProgressFn progress, DoneFn<FetchResult> done) {
    asked().push_back({"fetch", request.path, request.name, request.range});
    if (progress) progress({});
    FetchResult result;
    result.path = request.path;
    done(std::move(result));
}
void Node::stream(StreamRequest request, HeadFn head, SinkFn sink, ProgressFn progress,
                  DoneFn<FetchResult> done) {
    asked().push_back({"stream", {}, {}, request.range, 0, false});
    if (progress) progress({});
    if (fuzz::is_directory(request.link)) return done(fail(Errc::is_directory, "a directory"));
    auto range = request.range.value_or(ByteRange{ByteCount(0), ByteCount(fuzz::file_bytes)});
    if (range.first.value >= fuzz::file_bytes) return done(fail(Errc::usage, "past the end"));
    range.last = std::min(range.last, ByteCount(fuzz::file_bytes));
    head(ObjectKind::file, ByteCount(fuzz::file_bytes), range);
    deliver(std::make_shared<Delivery>(
        Delivery{range, std::move(sink), std::move(done), std::move(request.stop)}));
}
void Node::list(ListRequest request, ProgressFn, DoneFn<Listing> done) {
    asked().push_back({"list", {}, {}, {}, 0, false});
    if (!fuzz::is_directory(request.link)) return done(fail(Errc::usage, "a file"));
    const auto& below = request.link.path;
    done(Listing{request.link.root,
                 request.link.key,
                 below,
                 ByteCount(12),
                 {{below + "a\r\nb", EntryType::file, ByteCount(5)},
                  {below + "c/d\xff", EntryType::executable, ByteCount(7)},
                  {below + "e<&\">", EntryType::empty_directory, {}}}});
}
void Node::locate(std::string hash, std::optional<Link>, std::chrono::milliseconds, ProgressFn,
                  DoneFn<Located> done) {
    asked().push_back({"locate", {}, {}, {}, 0, false});
    done(Located{std::move(hash), "root", {Holder{}}});
}
void Node::health(Link, std::chrono::milliseconds, ProgressFn, DoneFn<Health> done) {
    asked().push_back({"health", {}, {}, {}, 0, false});
    done(Health{});
}
void Node::map(Link link, std::chrono::milliseconds, ProgressFn, DoneFn<ObjectMap> done) {
    asked().push_back({"map", {}, {}, {}, 0, false});
    ObjectMap map;
    map.root = link.root;
    map.parts.emplace_back();
    done(std::move(map));
}
void Node::repair(Link, std::chrono::milliseconds, ProgressFn, DoneFn<Health> done) {
    asked().push_back({"repair"});
    done(Health{});
}
void Node::withdraw(RootHash, ProgressFn, DoneFn<Withdrawal> done) {
    asked().push_back({"withdraw"});
    done(Withdrawal{});
}
void Node::pin(RootHash, bool pinned, DoneFn<bool> done) {
    asked().push_back({"pin"});
    done(pinned);
}
void Node::verify(VerifyRequest, ProgressFn, DoneFn<Verification> done) {
    asked().push_back({"verify"});
    Verification found;
    found.complaints.emplace_back("a\n\xff");
    done(std::move(found));
}
void Node::leave(LeaveRequest, ProgressFn, DoneFn<Departure> done) {
    asked().push_back({"leave"});
    done(Departure{true, 1, 1, 0});
}
void Node::block(std::string name, bool, DoneFn<Blocklist> done) {
    asked().push_back({"block", {}, std::move(name)});
    done(Blocklist{});
}
void Node::blocklist(DoneFn<Blocklist> done) {
    asked().push_back({"blocklist", {}, {}, {}, 0, false});
    done(Blocklist{});
}
void Node::limit(RateLimitsChange change, DoneFn<RateLimits> done) {
    const bool changes = change.up || change.down || change.repair;
    asked().push_back({"limit", {}, {}, {}, 0, changes});
    done(RateLimits{});
}
void Node::invite(DoneFn<Invitation> done) {
    asked().push_back({"invite", {}, {}, {}, 0, false});
    done(Invitation{"flow29i:a", {"192.0.2.1:2929"}});
}
void Node::join(std::string, DoneFn<Joined> done) {
    asked().push_back({"join"});
    done(Joined{});
}
void Node::transfers(DoneFn<std::vector<TransferInfo>> done) {
    asked().push_back({"transfers", {}, {}, {}, 0, false});
    done(std::vector<TransferInfo>(1));
}
void Node::control_transfer(std::uint64_t, TransferAction, DoneFn<std::vector<TransferInfo>> done) {
    asked().push_back({"control_transfer"});
    done(std::vector<TransferInfo>());
}
void Node::status(DoneFn<Status> done) {
    asked().push_back({"status", {}, {}, {}, 0, false});
    done(Status{});
}
void Node::peers(DoneFn<std::vector<PeerInfo>> done) {
    asked().push_back({"peers", {}, {}, {}, 0, false});
    done(std::vector<PeerInfo>(1));
}
void Node::objects(DoneFn<std::vector<ObjectEntry>> done) {
    asked().push_back({"objects", {}, {}, {}, 0, false});
    ObjectEntry entry;
    entry.name = "a\"\\\n\xff";
    done(std::vector<ObjectEntry>{entry});
}

namespace api {
struct HttpListener::State {};
HttpListener::HttpListener(HttpHandler handler, HttpListenerOptions)
    : state_(std::make_unique<State>()) {
    fuzz::handler() = std::move(handler);
}
HttpListener::~HttpListener() = default;
Result<core::Endpoint> HttpListener::listen(const core::Endpoint& at) {
    return at;
}
}  // namespace api

}  // namespace flow29
