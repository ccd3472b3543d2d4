// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/fair_share.hpp"

#include "input.hpp"
#include "unit/proto/fake_nodes.hpp"

/// Whoever waits gets a turn, nobody else does, and turns stay within the budget.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    using proto::FairShare;
    struct Flow {
        bool waits = false;
        std::uint64_t unused = 0;
    };
    fuzz::Input input(data, size);
    auto now = proto::at(Duration::zero());
    core::LineBudget budget;
    FairShare share(budget);
    budget.set_rate(ByteCount(input.flag() ? 1 + input.number(1ULL << 24)
                                           : 1 + input.number(~std::uint64_t{0} - 1)),
                    now);
    std::map<FairShare::FlowId, Flow> flows;
    const auto some_flow = [&] {
        return std::next(flows.begin(),
                         static_cast<std::ptrdiff_t>(input.number(flows.size() - 1)));
    };
    while (!input.empty()) {
        const auto choice = input.octet() % 8;
        if (choice == 0 && flows.size() < 8) {
            FLOW29_ASSERT(flows.emplace(share.add(), Flow{}).second);
        } else if (choice == 1) {
            now += std::chrono::microseconds(input.number(2'000'000));
        } else if (flows.empty()) {
            continue;
        } else if (choice == 2) {
            const auto flow = some_flow();
            share.give_back(flow->first, ByteCount(flow->second.unused));
            share.remove(flow->first);
            flows.erase(flow);
        } else if (choice <= 4) {
            const auto flow = some_flow();
            share.want(flow->first,
                       input.flag() ? FairShare::Class::background : FairShare::Class::foreground);
            flow->second.waits = true;
        } else if (choice == 5) {
            const auto flow = some_flow();
            const auto part = input.number(flow->second.unused);
            share.give_back(flow->first, ByteCount(part));
            flow->second.unused -= part;
        } else if (const auto turn = share.poll_turn(now)) {
            auto& flow = flows.at(turn->flow);
            FLOW29_ASSERT(flow.waits && turn->octets == share.quantum() && turn->octets.value > 0);
            flow.waits = false;
            flow.unused += turn->octets.value;
        }
        share.check_invariants();
        bool anybody = false;
        for (const auto& [id, flow] : flows)
            anybody = anybody || flow.waits;
        const auto deadline = share.next_deadline();
        FLOW29_ASSERT(deadline.has_value() == anybody);
        if (deadline && now < *deadline) FLOW29_ASSERT(!share.poll_turn(now));
    }
    // In the end everybody who waits has had a turn.
    for (std::size_t i = 0; i < flows.size(); ++i) {
        const auto deadline = share.next_deadline();
        if (!deadline) break;
        now = std::max(now, *deadline);
        const auto turn = share.poll_turn(now);
        FLOW29_ASSERT(turn && flows.at(turn->flow).waits);
        flows.at(turn->flow).waits = false;
    }
    FLOW29_ASSERT(!share.next_deadline());
    return 0;
}
