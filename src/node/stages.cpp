// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/node.hpp>

namespace flow29 {

std::string_view stage_text(Stage stage) noexcept {
    switch (stage) {
        case Stage::joining:
            return "joining the swarm";
        case Stage::hashing:
            return "hashing";
        case Stage::looking_up:
            return "looking up";
        case Stage::nobody_yet:
            return "nobody has it yet; is the link right?";
        case Stage::connecting:
            return "connecting";
        case Stage::tree:
            return "tree";
        case Stage::data:
            return "data";
        case Stage::copies:
            return "copies";
        case Stage::checking:
            return "checking holders";
        case Stage::verifying:
            return "verifying";
        case Stage::healing:
            return "healing";
        case Stage::paused:
            return "paused";
    }
    return "working";
}

std::string_view stage_name(Stage stage) noexcept {
    switch (stage) {
        case Stage::joining:
            return "joining";
        case Stage::hashing:
            return "hashing";
        case Stage::looking_up:
            return "looking_up";
        case Stage::nobody_yet:
            return "nobody_yet";
        case Stage::connecting:
            return "connecting";
        case Stage::tree:
            return "tree";
        case Stage::data:
            return "data";
        case Stage::copies:
            return "copies";
        case Stage::checking:
            return "checking";
        case Stage::verifying:
            return "verifying";
        case Stage::healing:
            return "healing";
        case Stage::paused:
            return "paused";
    }
    return "working";
}

std::string_view reason_name(TransferReason reason) noexcept {
    switch (reason) {
        case TransferReason::paused:
            return "paused";
        case TransferReason::looking_up:
            return "looking_up";
        case TransferReason::no_holders:
            return "no_holders";
        case TransferReason::limited_by_us:
            return "limited_by_us";
        case TransferReason::limited_by_holder:
            return "limited_by_holder";
        case TransferReason::reader:
            return "reader";
        case TransferReason::disk:
            return "disk";
    }
    return "other";
}

std::string_view kind_name(TransferKind kind) noexcept {
    switch (kind) {
        case TransferKind::fetch:
            return "fetch";
        case TransferKind::stream:
            return "stream";
        case TransferKind::publish:
            return "publish";
    }
    return "other";
}

std::string_view reach_name(Reach reach) noexcept {
    switch (reach) {
        case Reach::unknown:
            return "unknown";
        case Reach::reachable:
            return "reachable";
        case Reach::unreachable:
            return "unreachable";
    }
    return "other";
}

std::string_view sharing_name(Sharing sharing) noexcept {
    switch (sharing) {
        case Sharing::none:
            return "none";
        case Sharing::in_place:
            return "in_place";
        case Sharing::copy:
            return "copy";
    }
    return "other";
}

std::string_view upkeep_name(Upkeep upkeep) noexcept {
    switch (upkeep) {
        case Upkeep::leased:
            return "leased";
        case Upkeep::expired:
            return "expired";
        case Upkeep::withdrawn:
            return "withdrawn";
        case Upkeep::unknown:
            return "unknown";
    }
    return "unknown";
}

}  // namespace flow29
