// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/transfers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
// A full budget is in debt nearly all the time, and between two turns for a moment not.
constexpr Duration full_until = 100ms;

bool is_full(const core::LineBudget& budget, TimePoint now) {
    return budget.is_limited() && budget.ready_at() + full_until > now;
}

/// What the network moved: a rate that counts what lay in the own store says nothing of a limit.
ByteCount moved(const Progress& progress) {
    return progress.done - std::min(progress.done, progress.own);
}

std::chrono::milliseconds time_for(ByteCount bytes, double rate) {
    return std::chrono::milliseconds(
        static_cast<std::int64_t>(1000 * static_cast<double>(bytes.value) / rate));
}
}  // namespace

Transfer::Transfer(std::uint64_t id, Services services, Options options)
    : id_(id),
      services_(services),
      kind_(options.kind),
      root_(options.root),
      name_(std::move(options.name)),
      path_(std::move(options.path)),
      forward_(std::move(options.stop), [source = stop_]() mutable { source.request_stop(); }) {}

ProgressFn Transfer::noted(const std::shared_ptr<Transfer>& self, ProgressFn progress) {
    return [weak = std::weak_ptr(self), progress = std::move(progress)](const Progress& now) {
        const auto transfer = weak.lock();
        if (transfer) transfer->note(now);
        if (progress) progress(transfer ? transfer->shown() : now);
    };
}

std::function<bool()> Transfer::is_paused(const std::shared_ptr<Transfer>& self) {
    return [weak = std::weak_ptr(self)] {
        const auto transfer = weak.lock();
        return transfer && transfer->paused();
    };
}

std::function<void(const NodeId&, ByteCount)> Transfer::sent_to(
    const std::shared_ptr<Transfer>& self) {
    return [weak = std::weak_ptr(self)](const NodeId& node, ByteCount bytes) {
        if (const auto transfer = weak.lock()) transfer->on_sent(node, bytes);
    };
}

void Transfer::note(const Progress& progress) {
    // What is done may be fewer bytes than before, when what came was not as it should be.
    const bool goes_on = progress.stage == progress_.stage && moved(progress) >= moved(progress_);
    if (!goes_on) moved_.clear();
    progress_ = progress;
    moved_.note(services_.runtime.now(), moved(progress));
    if (progress.stage == Stage::copies && !paused_)
        pace_.note(services_.runtime.now(), progress.done, progress.total);
}

ByteCount Transfer::sent() const {
    ByteCount sum;
    for (const auto& [node, sent] : sent_)
        sum += sent.bytes;
    return sum;
}

std::optional<std::chrono::milliseconds> Transfer::copies_left() const {
    const auto left = pace_.left(services_.runtime.now());
    if (!left || progress_.copies_target == 0) return left;
    // Nobody has yet what is still to be sent, however fast the others copy what was.
    const auto once = ByteCount(progress_.total.value / progress_.copies_target);
    const double speed = rate();
    if (speed <= 0 || once <= sent()) return left;
    return std::max(*left, time_for(once - sent(), speed));
}

Progress Transfer::shown() const {
    Progress shown = progress_;
    if (shown.stage == Stage::copies) {
        shown.sent = sent();
        shown.sent_rate = rate();
        shown.eta = copies_left();
    }
    if (paused_) shown.stage = Stage::paused;
    return shown;
}

void Transfer::on_sent(const NodeId& node, ByteCount bytes) {
    auto& sent = sent_[node];
    sent.bytes += bytes;
    sent.window.note(services_.runtime.now(), sent.bytes);
}

double Transfer::rate() const {
    const auto now = services_.runtime.now();
    if (paused_) return 0;
    if (progress_.stage != Stage::copies) return moved_.rate(now);
    double sum = 0;
    for (const auto& [node, sent] : sent_)
        sum += sent.window.rate(now);
    return sum;
}

void Transfer::set_paused(bool paused) {
    paused_ = paused;
    moved_.clear();
    pace_.clear();
    if (const auto download = download_.lock()) download->wake();
}

void Transfer::cancel() {
    stop_.request_stop();
    if (const auto download = download_.lock()) download->wake();
}

void Transfer::look_at(const Download& download, TransferInfo& info,
                       proto::TransferFacts& facts) const {
    info.done = download.done();
    info.total = download.total();
    info.own = download.own();
    facts.stage = info.stage = Stage::data;
    facts.holders = download.planner().usable_peers();
    facts.starved = !download.planner().starved(1, services_.runtime.now()).empty();
    facts.being_written = download.storing();
    const auto silent = download.planner().silent(services_.runtime.now());
    for (const auto& peer : download.planner().peers()) {
        // What is here already is no holder's work, and cannot be what keeps it waiting.
        if (peer.peer == services_.identity.id()) continue;
        const auto asked = peer.in_flight;
        const bool delivers = asked > 0 && std::ranges::find(silent, peer.peer) == silent.end();
        facts.peers.push_back({peer.peer, peer.rate, asked});
        if (asked > 0 || peer.bytes > 0)
            info.holders.push_back({peer.peer, delivers ? peer.rate : 0, ByteCount(peer.bytes)});
    }
    for (const auto& cell : download.planner().cells(limits::cells_max))
        info.cells.push_back({cell.wanted, cell.missing, cell.holders, cell.by});
}

TransferInfo Transfer::info() const {
    const auto now = services_.runtime.now();
    auto* const line = services_.line;
    TransferInfo info;
    info.id = id_;
    info.kind = kind_;
    info.root = root_;
    info.name = name_;
    info.path = path_;
    info.stage = progress_.stage;
    info.paused = paused_;
    info.done = progress_.done;
    info.total = progress_.total;
    info.own = progress_.own;
    info.rate = rate();
    info.copies_min = progress_.copies_min;
    info.copies_target = progress_.copies_target;
    proto::TransferFacts facts;
    facts.kind = kind_;
    facts.stage = progress_.stage;
    facts.paused = paused_;
    facts.holders = progress_.holders;
    if (line != nullptr)
        facts.line_full = is_full(kind_ == TransferKind::publish ? line->up : line->down, now);
    for (const auto& [node, sent] : sent_)
        info.holders.push_back({node, paused_ ? 0 : sent.window.rate(now), sent.bytes});
    if (const auto download = download_.lock()) look_at(*download, info, facts);
    // What is sent once becomes several copies: its rate says nothing of when all are made.
    if (info.stage == Stage::copies)
        info.eta = copies_left();
    else if (info.rate > 0 && info.total > info.done)
        info.eta = time_for(info.total - info.done, info.rate);
    const auto explanation = proto::explain(facts);
    info.reason = explanation.reason;
    info.slowest = explanation.holder;
    info.why = proto::explanation_text(explanation, kind_);
    return info;
}

std::shared_ptr<Transfer> Transfers::begin(Transfer::Options options) {
    std::erase_if(running_, [](const auto& entry) { return entry.second.expired(); });
    const auto id = ++last_id_;
    auto transfer = std::make_shared<Transfer>(id, services_, std::move(options));
    running_.emplace(id, transfer);
    return transfer;
}

std::vector<TransferInfo> Transfers::list() const {
    std::vector<TransferInfo> infos;
    for (const auto& [id, weak] : running_)
        if (const auto transfer = weak.lock()) infos.push_back(transfer->info());
    return infos;
}

Result<std::vector<TransferInfo>> Transfers::control(std::uint64_t id, TransferAction action) {
    const auto found = running_.find(id);
    const auto transfer = found == running_.end() ? nullptr : found->second.lock();
    if (!transfer)
        return fail(Errc::not_found, fmt::format("no transfer {} is running; `flow29 transfers` "
                                                 "lists them",
                                                 id));
    switch (action) {
        case TransferAction::pause:
        case TransferAction::resume:
            transfer->set_paused(action == TransferAction::pause);
            break;
        case TransferAction::cancel:
            transfer->cancel();
            break;
    }
    return list();
}

void Transfers::stop() {
    // Whoever lets go of one while it is told does not change the map.
    for (const auto& [id, weak] : running_)
        if (const auto transfer = weak.lock()) transfer->cancel();
}

}  // namespace flow29::node
