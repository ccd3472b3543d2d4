// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/survey.hpp"

#include <algorithm>
#include <set>

#include "core/families.hpp"
#include "core/log.hpp"
#include "node/auditor.hpp"
#include "node/gather.hpp"
#include "node/holdings.hpp"
#include "node/progress.hpp"
#include "node/terms.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration request_timeout = 8s;
constexpr unsigned table_rounds = 3;
constexpr std::size_t proofs_per_holder = 16;
constexpr Duration progress_remembered = 1h;
constexpr std::size_t progress_max = 256;

/// Of an object without a live lease.
Upkeep upkeep_of(const std::vector<proto::Lease>& leases) {
    if (leases.empty()) return Upkeep::unknown;
    return std::ranges::all_of(leases, &proto::Lease::withdrawn) ? Upkeep::withdrawn
                                                                 : Upkeep::expired;
}

std::vector<proto::ItemId> items_of(const RootHash& root, const core::Descriptor& descriptor) {
    std::vector<proto::ItemId> items{proto::ItemId::of(root)};
    for (const auto& extent : descriptor.extents)
        items.push_back(proto::ItemId::of(extent));
    return items;
}
}  // namespace

asio::awaitable<Result<Survey::Census>> Survey::census(Link link, Duration timeout,
                                                       ProgressFn progress) {
    std::vector<core::Endpoint> at;
    for (const auto& text : link.at)
        if (auto endpoint = core::Endpoint::parse(text)) at.push_back(*endpoint);
    auto stage = stage_reporter(progress);
    const auto root = link.root;
    auto found = co_await finder_.find_object(root, std::move(at), timeout, std::stop_token(),
                                              std::move(stage), Finder::Aim::all);
    if (!found) co_return fail(found.error());
    Census census;
    census.descriptor = std::move(found->descriptor);
    census.served = found->holders;
    const auto items = items_of(root, census.descriptor);

    // Whoever a table names is asked, and whoever is connected anyway; who answers that it keeps an
    // item is counted. A copy at a node that only fetched or published it may go any time.
    report_stage(progress, Stage::checking, found->holders.size());
    auto sources = found->holders;
    auto table = co_await finder_.holder_table(root, census.descriptor.extents.size(), sources);
    auto& store = services_.store;
    const auto& self = services_.identity;
    const auto wall_now = services_.runtime.wall_now();
    auto look = [&store, &items, &self, wall_now] {
        return std::pair(store.holders(items), holdings_of(store, items, self, wall_now));
    };
    const auto local = co_await net::offload(services_.runtime, std::move(look));
    for (const auto& [item, node] : local.first) {
        table.holders[item].insert(node);
        if (const auto* entry = table_.find(node)) table.nodes[node] = entry->record;
    }
    // A holder knows best about its own items, so those named are asked for their tables in turn.
    std::vector<net::PeerPtr> connected;
    for (const auto& peer : peers_.open())
        if (peer->record().storing && connected.size() < limits::surveyed_max)
            connected.push_back(peer);
    for (unsigned round = 0; round < table_rounds; ++round) {
        std::vector<Named> records;
        for (const auto& [node, record] : table.nodes)
            if (records.size() < limits::surveyed_max) records.push_back({record});
        const auto known = connected.size();
        const auto reached = co_await neighbourhood_.reach_all(std::move(records));
        for (const auto& peer : reached) {
            const auto same = [&peer](const auto& other) { return other->id() == peer->id(); };
            if (std::ranges::none_of(connected, same)) connected.push_back(peer);
        }
        if (round > 0 && connected.size() == known) break;
        auto asked = connected;
        auto more =
            co_await finder_.holder_table(root, census.descriptor.extents.size(), std::move(asked));
        table.merge(std::move(more));
    }
    report_stage(progress, Stage::checking, connected.size());
    auto holdings = co_await finder_.ask_holdings(connected, items);

    census.holders.resize(items.size());
    census.coming.resize(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        census.held_here.push_back(local.second[i] == proto::Holding::kept);
        for (const auto& peer : connected) {
            const auto answer = holdings.find(peer->id());
            if (answer == holdings.end()) continue;
            // Who says that it stores nothing may have some left, where others cannot get it.
            if (!peer->record().storing) continue;
            if (answer->second[i] == proto::Holding::kept) census.holders[i].push_back(peer);
            if (answer->second[i] == proto::Holding::coming) ++census.coming[i];
        }
    }
    co_return census;
}

asio::awaitable<std::vector<proto::Lease>> Survey::ask_leases(net::PeerPtr peer, RootHash root) {
    proto::Message ask = proto::GetLeases{root};
    auto reply = co_await peer->request(std::move(ask), request_timeout);
    auto* answer = reply ? std::get_if<proto::Leases>(&reply->message) : nullptr;
    if (answer == nullptr) co_return std::vector<proto::Lease>();
    co_return std::move(answer->leases);
}

asio::awaitable<std::optional<proto::Lease>> Survey::widest_lease(
    RootHash root, std::vector<net::PeerPtr> holders) {
    const auto all = co_await leases(root, std::move(holders));
    co_return widest_live(all, services_.runtime.wall_now());
}

asio::awaitable<std::vector<proto::Lease>> Survey::leases(RootHash root,
                                                          std::vector<net::PeerPtr> holders) {
    auto& store = services_.store;
    auto read = [&store, root] { return store.leases(root); };
    auto local = co_await net::offload(services_.runtime, std::move(read));
    Gather<std::vector<proto::Lease>> gather(services_.runtime, tasks_);
    for (const auto& peer : holders)
        gather.start(ask_leases(peer, root));
    auto answers = co_await gather.all();
    answers.push_back(std::move(local));
    std::vector<proto::Lease> all;
    for (const auto& leases : answers)
        std::ranges::copy_if(leases, std::back_inserter(all),
                             [&root](const proto::Lease& lease) { return lease.root == root; });
    co_return all;
}

asio::awaitable<Survey::Audited> Survey::audit_peer(net::PeerPtr peer,
                                                    std::shared_ptr<const core::Descriptor> object,
                                                    std::vector<proto::ItemId> items) {
    Audited audited{peer};
    for (const auto& item : items) {
        const auto outcome =
            co_await Auditor::probe(peer, *object, item, services_.runtime.random()());
        audited.failed = outcome != Auditor::Outcome::passed;
        if (audited.failed) break;
        ++audited.passed;
    }
    co_return audited;
}

asio::awaitable<std::uint64_t> Survey::audit(Census& census, RootHash root) {
    const auto items = items_of(root, census.descriptor);
    std::map<NodeId, std::pair<net::PeerPtr, std::vector<proto::ItemId>>> kept;
    for (std::size_t i = 0; i < items.size(); ++i)
        for (const auto& peer : census.holders[i]) {
            auto& [known, theirs] = kept[peer->id()];
            known = peer;
            theirs.push_back(items[i]);
        }
    const auto object = std::make_shared<const core::Descriptor>(census.descriptor);
    Gather<Audited> gather(services_.runtime, tasks_);
    for (auto& [node, entry] : kept) {
        auto& [peer, theirs] = entry;
        std::shuffle(theirs.begin(), theirs.end(), services_.runtime.random());
        if (theirs.size() > proofs_per_holder) theirs.resize(proofs_per_holder);
        gather.start(audit_peer(peer, object, std::move(theirs)));
    }
    const auto answers = co_await gather.all();
    std::uint64_t passed = 0;
    for (const auto& answer : answers) {
        passed += answer.passed;
        if (!answer.failed) continue;
        log::warn("survey", "node {} could not prove what it says it keeps: not counted",
                  to_hex(answer.peer->id()).substr(0, 12));
        for (auto& holders : census.holders)
            std::erase(holders, answer.peer);
    }
    co_return passed;
}

void Survey::tell_proved(const Census& census, const RootHash& root) const {
    const auto items = items_of(root, census.descriptor);
    std::map<NodeId, proto::Stored> proved;
    for (std::size_t i = 0; i < items.size(); ++i)
        for (const auto& peer : census.holders[i])
            proved[peer->id()].items.push_back(items[i]);
    for (auto& [node, stored] : proved) {
        stored.root = root;
        on_proved_(node, stored);
    }
}

asio::awaitable<Result<Health>> Survey::health(Link link, Duration timeout, ProgressFn progress) {
    const auto root = link.root;
    auto census = co_await this->census(std::move(link), timeout, std::move(progress));
    if (!census) co_return fail(census.error());
    Health health;
    // Who does not keep it any more knows best that a lease is over.
    auto asked = census->holders.front().empty() ? census->served : census->holders.front();
    const auto known = co_await leases(root, std::move(asked));
    const auto lease = widest_live(known, services_.runtime.wall_now());
    health.upkeep = lease ? Upkeep::leased : upkeep_of(known);
    health.audited = co_await audit(*census, root);
    tell_proved(*census, root);
    health.root = root;
    health.bytes = census->descriptor.length;
    health.target = lease ? lease->copies : limits::copies_default;
    if (health.upkeep == Upkeep::expired || health.upkeep == Upkeep::withdrawn) health.target = 0;
    health.copies.min = ~0U;
    health.groups = ~std::size_t{0};
    std::uint64_t sum = 0;
    const auto layout = census->descriptor.layout();
    for (std::size_t i = 0; i < census->holders.size(); ++i) {
        const auto count =
            static_cast<unsigned>(census->holders[i].size()) + (census->held_here[i] ? 1U : 0U);
        std::set<core::AddressGroup> groups;
        for (const auto& peer : census->holders[i])
            groups.insert(core::group_of(peer->remote(), peer->record().addresses));
        if (census->held_here[i]) groups.insert(core::AddressGroup{});  // this node, one group
        health.copies.min = std::min(health.copies.min, count);
        health.groups = std::min(health.groups, groups.size());
        ++health.copies.histogram[count];
        sum += count;
        health.coming += census->coming[i];
        if (count >= health.target) continue;
        const auto length = i == 0 ? ByteCount(census->descriptor.encode().size())
                                   : layout.extent_length(ExtentIndex(i - 1));
        health.missing += ByteCount(length.value * (health.target - count));
        if (i > 0) health.at_risk_chunks += layout.extent_chunks(ExtentIndex(i - 1)).count().value;
    }
    health.time_to_target = note_progress(root, health.missing);
    // Without the descriptor nothing can be read, so then every chunk is at risk.
    const auto of_descriptor = census->holders[0].size() + (census->held_here[0] ? 1U : 0U);
    if (of_descriptor < health.target) health.at_risk_chunks = layout.chunks().value;
    health.copies.mean = static_cast<double>(sum) / static_cast<double>(census->holders.size());
    health.publisher_may_leave = health.target != 0 && health.copies.min >= health.target;
    co_return health;
}

asio::awaitable<Result<ObjectMap>> Survey::map(Link link, Duration timeout, ProgressFn progress) {
    ObjectMap map;
    map.root = link.root;
    const auto census = co_await this->census(std::move(link), timeout, std::move(progress));
    if (!census) co_return fail(census.error());
    const auto layout = census->descriptor.layout();
    map.bytes = census->descriptor.length;
    for (std::size_t i = 0; i < census->holders.size(); ++i) {
        ObjectMap::Part part;
        part.hash = i == 0 ? to_hex(map.root) : to_hex(census->descriptor.extents[i - 1]);
        part.bytes = i == 0 ? ByteCount(census->descriptor.encode().size())
                            : layout.extent_length(ExtentIndex(i - 1));
        for (const auto& peer : census->holders[i])
            part.holders.push_back(peer->id());
        part.held_here = census->held_here[i];
        part.coming = census->coming[i];
        map.parts.push_back(std::move(part));
    }
    co_return map;
}

/// From how fast what was missing at earlier looks came.
std::optional<std::chrono::milliseconds> Survey::note_progress(const RootHash& root,
                                                               ByteCount missing) {
    const auto now = services_.runtime.now();
    std::erase_if(progress_, [now](const auto& entry) {
        return now > entry.second.seen + Duration(progress_remembered);
    });
    if (missing.value == 0) {
        progress_.erase(root);
        return std::chrono::milliseconds(0);
    }
    if (!progress_.contains(root) && progress_.size() >= progress_max) return std::nullopt;
    auto& seen = progress_.try_emplace(root, Progressing{now, now, missing}).first->second;
    // Something was lost meanwhile: what came before says nothing about what is to come.
    if (missing > seen.missing) seen = {now, now, missing};
    seen.seen = now;
    const auto came = static_cast<double>(seen.missing.value - missing.value);
    if (came == 0) return std::nullopt;
    const double per_byte = std::chrono::duration<double>(now - seen.since).count() / came;
    return std::chrono::milliseconds(
        static_cast<std::int64_t>(1000 * per_byte * static_cast<double>(missing.value)));
}

asio::awaitable<bool> Survey::tell_withdrawal(net::PeerPtr peer, proto::Lease lease) {
    proto::Message ask = proto::UpdateLease{lease};
    auto reply = co_await peer->request(std::move(ask), request_timeout);
    const auto* answer = reply ? std::get_if<proto::LeaseReply>(&reply->message) : nullptr;
    co_return answer != nullptr && answer->applied;
}

asio::awaitable<Result<Withdrawal>> Survey::withdraw(RootHash root, std::set<NodeId> asked,
                                                     ProgressFn progress) {
    struct Local {
        Result<store::ObjectInfo> object;
        std::vector<proto::Lease> leases;
    };
    auto& store = services_.store;
    auto read = [&store, root] { return Local{store.object(root), store.leases(root)}; };
    auto local = co_await net::offload(services_.runtime, std::move(read));
    if (!local.object)
        co_return fail(Errc::not_found,
                       "this node does not know that object; `flow29 ls` lists those it "
                       "does");
    const auto own_key = services_.identity.public_key();
    const auto wall_now = services_.runtime.wall_now();
    const bool has_lease = std::ranges::any_of(local.leases, [&](const proto::Lease& lease) {
        return lease.publisher == own_key && is_live(lease, wall_now);
    });
    if (!local.object->published && !has_lease)
        co_return fail(
            Errc::refused,
            "this node did not publish it, and only its publisher can withdraw it; `flow29 "
            "block` drops what is kept of it here");
    auto withdrawal = proto::Lease{};
    for (const auto& lease : local.leases)
        if (lease.publisher == own_key) withdrawal = lease;
    withdrawal.root = root;
    withdrawal.withdrawn = true;
    withdrawal.sequence =
        std::max(withdrawal.sequence + 1, to_unix_ms(services_.runtime.wall_now()));
    withdrawal.sign(services_.identity);

    // Durable here first: the holders tell each other, and this node, at once.
    auto end = [&store, root, withdrawal]() -> Result<void> {
        if (auto kept = store.put_lease(withdrawal); !kept) return fail(kept.error());
        if (auto kept = store.set_renewal(root, {}); !kept) return kept;
        return store.set_published(root, false);
    };
    const auto ended = co_await net::offload(services_.runtime, std::move(end));
    if (!ended) co_return fail(ended.error());

    Link link;
    link.root = root;
    auto holders = co_await census(std::move(link), request_timeout, progress);
    std::map<NodeId, net::PeerPtr> told;
    if (holders)
        for (const auto& peers : holders->holders)
            for (const auto& peer : peers)
                told.emplace(peer->id(), peer);
    Gather<bool> gather(services_.runtime, tasks_);
    for (const auto& [node, peer] : told)
        gather.start(tell_withdrawal(peer, withdrawal));
    // Who is about to take it is in no census yet.
    Gather<bool> others(services_.runtime, tasks_);
    for (const auto& node : asked)
        if (auto peer = peers_.find(node); peer && !told.contains(node))
            others.start(tell_withdrawal(std::move(peer), withdrawal));
    const auto count = [](const std::vector<bool>& answers) {
        return static_cast<std::size_t>(std::count(answers.begin(), answers.end(), true));
    };
    const auto by_holders = co_await gather.all();
    const auto by_others = co_await others.all();

    Withdrawal result;
    result.root = root;
    result.holders_told = told.size() + count(by_others);
    result.holders_obeyed = count(by_holders) + count(by_others);
    co_return result;
}

}  // namespace flow29::node
