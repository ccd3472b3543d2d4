// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/transfers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
constexpr Duration rate_window = 4s;
constexpr std::size_t samples_max = 64;
// A full budget is in debt nearly all the time, and between two turns for a moment not.
constexpr Duration full_until = 100ms;

bool is_full(const core::LineBudget& budget, TimePoint now) {
    return budget.is_limited() && budget.ready_at() + full_until > now;
}

/// What the network moved: a rate that counts what lay in the own store says nothing of a limit.
ByteCount moved(const Progress& progress) {
    return progress.done - std::min(progress.done, progress.own);
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
        if (!progress) return;
        Progress shown = now;
        if (transfer && transfer->paused_) shown.stage = Stage::paused;
        progress(shown);
    };
}

std::function<bool()> Transfer::is_paused(const std::shared_ptr<Transfer>& self) {
    return [weak = std::weak_ptr(self)] {
        const auto transfer = weak.lock();
        return transfer && transfer->paused();
    };
}

void Transfer::note(const Progress& progress) {
    const auto now = services_.runtime.now();
    if (progress.stage != progress_.stage) samples_.clear();
    progress_ = progress;
    samples_.push_back({now, moved(progress)});
    while (samples_.size() > samples_max ||
           (samples_.size() > 2 && now - samples_[1].at >= rate_window))
        samples_.pop_front();
}

double Transfer::rate() const {
    if (samples_.empty() || paused_) return 0;
    // Until now, and not until the last sample: what stands still has no rate.
    const std::chrono::duration<double> elapsed = services_.runtime.now() - samples_.front().at;
    const auto now = moved(progress_);
    const auto bytes = now - std::min(now, samples_.front().moved);
    return elapsed.count() > 0 ? static_cast<double>(bytes.value) / elapsed.count() : 0;
}

void Transfer::set_paused(bool paused) {
    paused_ = paused;
    samples_.clear();
    if (const auto download = download_.lock()) download->wake();
}

void Transfer::cancel() {
    stop_.request_stop();
    if (const auto download = download_.lock()) download->wake();
}

void Transfer::look_at(const Download& download, TransferInfo& info,
                       proto::TransferFacts& facts) const {
    info.done = download.planner().verified();
    info.total = download.planner().wanted();
    info.own = download.own();
    facts.stage = info.stage = Stage::data;
    facts.holders = download.planner().usable_peers();
    facts.starved = !download.planner().starved(1, services_.runtime.now()).empty();
    facts.being_written = download.storing();
    for (const auto& peer : download.planner().peers()) {
        // What is here already is no holder's work, and cannot be what keeps it waiting.
        if (peer.peer == services_.identity.id()) continue;
        const auto asked = peer.in_flight;
        facts.peers.push_back({peer.peer, peer.rate, asked});
        if (asked > 0 || peer.bytes > 0)
            info.holders.push_back({peer.peer, asked > 0 ? peer.rate : 0, ByteCount(peer.bytes)});
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
    if (const auto download = download_.lock()) look_at(*download, info, facts);
    if (info.rate > 0 && info.total > info.done)
        info.eta = std::chrono::milliseconds(static_cast<std::int64_t>(
            1000 * static_cast<double>((info.total - info.done).value) / info.rate));
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

}  // namespace flow29::node
