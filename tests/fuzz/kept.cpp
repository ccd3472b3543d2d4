// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/kept_ledger.hpp"

#include <set>

#include "fixtures.hpp"
#include "input.hpp"

namespace {

using namespace flow29;
using proto::KeptLedger;

/// A ledger that is asked now and then, and what the asker believes that it keeps.
void follow(fuzz::Input input) {
    KeptLedger ledger(8);
    KeptLedger other(8);
    std::set<proto::ItemId> truth;
    std::set<proto::ItemId> believed;
    proto::KeptState known;
    while (!input.empty()) {
        const auto choice = input.octet();
        const auto item = proto::fake_item(input.octet() % 40);
        if (choice % 4 < 2) {
            choice % 4 == 0 ? ledger.add(item) : ledger.remove(item);
            choice % 4 == 0 ? void(truth.insert(item)) : void(truth.erase(item));
        } else {
            const KeptLedger::Salt salt{choice};
            const auto list = ledger.answer({known, 0}, salt);
            FLOW29_ASSERT(list.state == ledger.state());
            if (list.listed) {
                believed.clear();
                for (std::uint32_t part = 0; part < list.parts; ++part)
                    for (const auto& kept : ledger.items_of_part(part, list.parts))
                        FLOW29_ASSERT(believed.insert(kept).second &&
                                      KeptLedger::part_of(kept, list.parts) == part);
            } else {
                // What came and went meanwhile may be named as well.
                for (const auto& gone : list.removed)
                    believed.erase(gone);
                believed.insert(list.added.begin(), list.added.end());
            }
            FLOW29_ASSERT(believed == truth);
            known = list.state;
        }
        ledger.check_invariants();
        FLOW29_ASSERT(ledger.size() == truth.size() &&
                      ledger.contains(item) == truth.contains(item));
    }
    // Equal sets have equal states, whatever their history.
    for (const auto& item : truth)
        other.add(item);
    FLOW29_ASSERT(other.state() == ledger.state());
}

}  // namespace

/// A list of short names from a peer, and a ledger whose every answer leads to the truth.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView list(data, size);
    const KeptLedger::Salt salt{7};
    std::vector<proto::ItemId> items;
    for (std::uint32_t i = 0; i < 6; ++i)
        items.push_back(proto::fake_item(i));
    const auto found = KeptLedger::find_in(list, salt, items);
    FLOW29_ASSERT(found.has_value() == (size % limits::short_name_bytes == 0));
    if (found) {
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto name = KeptLedger::short_names(salt, {items[i]});
            bool listed = false;
            for (std::size_t at = 0; at + name.size() <= size; at += name.size())
                listed = listed || std::ranges::equal(list.subspan(at, name.size()), name);
            FLOW29_ASSERT((*found)[i] == listed);
        }
    } else {
        FLOW29_ASSERT(found.error().code == Errc::peer_misbehaved);
    }
    follow(fuzz::Input(data, size));
    return 0;
}
