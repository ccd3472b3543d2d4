// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/auditor.hpp"

#include "core/log.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration tick = 5s;
constexpr Duration answer_timeout = 10s;

proto::AuditPlanner::Options planner_options(const Services& services, const Settings& settings) {
    proto::AuditPlanner::Options options;
    options.period = settings.audit_period;
    options.seed = services.runtime.random()();
    return options;
}

Auditor::Outcome outcome_of(const Error& error) {
    switch (error.code) {
        case Errc::peer_lacks:
        case Errc::verification_failed:
            return Auditor::Outcome::failed;
        case Errc::timed_out:
            return Auditor::Outcome::silent;
        default:
            return Auditor::Outcome::none;
    }
}
}  // namespace

Auditor::Auditor(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
                 const proto::NodeTable& table, Caretaker& caretaker)
    : services_(services),
      tasks_(tasks),
      peers_(peers),
      caretaker_(caretaker),
      planner_(table, caretaker.planner(), planner_options(services, settings)),
      changed_(services.runtime) {}

asio::awaitable<void> Auditor::run() {
    while (!tasks_.stopping()) {
        const auto now = services_.runtime.now();
        while (const auto probe = planner_.poll(now))
            tasks_.start(audit(*probe));
        auto wake = now + Duration(tick);
        if (const auto next = planner_.next_deadline())
            wake = std::clamp(*next, now + Duration(20ms), wake);
        co_await changed_.wait_until(wake);
    }
}

asio::awaitable<void> Auditor::audit(proto::AuditPlanner::Probe asked) {
    const auto peer = peers_.find(asked.node);
    const auto* known = caretaker_.descriptor_with(asked.item);
    if (!peer || known == nullptr) co_return;
    const auto descriptor = *known;
    const auto outcome = co_await probe(peer, descriptor, asked.item, asked.random);
    if (tasks_.stopping() || !planner_.on_outcome(asked, outcome)) co_return;
    log::warn("auditor", "node {} could not prove an item that it keeps",
              to_hex(asked.node).substr(0, 12));
    co_await caretaker_.on_audit_failed(asked.node, asked.item, outcome == Outcome::failed);
}

asio::awaitable<Auditor::Outcome> Auditor::probe(net::PeerPtr peer,
                                                 const core::Descriptor& descriptor,
                                                 proto::ItemId item, std::uint64_t random) {
    if (item.kind == proto::ItemId::Kind::descriptor) {
        proto::Message ask = proto::GetDescriptor{item.root()};
        const auto reply = co_await peer->request(std::move(ask), answer_timeout);
        if (!reply) co_return outcome_of(reply.error());
        co_return core::Descriptor::decode(reply->body.view(), item.root()) ? Outcome::passed
                                                                            : Outcome::failed;
    }
    const auto layout = descriptor.layout();
    for (std::uint64_t i = 0; i < descriptor.extents.size(); ++i) {
        if (descriptor.extents[i] != item.extent()) continue;
        const auto length = layout.extent_length(ExtentIndex(i));
        const auto chunks = core::chunks_in(length);
        const auto chunk = random % chunks.value;
        const ChunkRange range{ChunkIndex(chunk), ChunkIndex(chunk + 1)};
        proto::Message ask = proto::GetRange{item.extent(), length, range};
        const auto reply = co_await peer->request(std::move(ask), answer_timeout);
        if (!reply) co_return outcome_of(reply.error());
        const auto* proof = std::get_if<proto::RangeReply>(&reply->message);
        const bool proven =
            proof != nullptr &&
            core::verify_range(item.extent(), chunks, range, reply->body.view(), proof->proof);
        co_return proven ? Outcome::passed : Outcome::failed;
    }
    co_return Outcome::passed;  // no part of the object: there is nothing to prove
}

}  // namespace flow29::node
