// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/placement.hpp"

#include "core/hash.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <unordered_map>

namespace flow29::core {
namespace {

constexpr unsigned capacity_class_max = 20;
constexpr unsigned weight_cap_doublings = 3;         // 8 times the median
constexpr unsigned scarce_weight_cap_doublings = 1;  // twice the median

struct Ranked {
    Candidate candidate;
    double cost = 0;             // rendezvous order: lower is better
    std::size_t group_rank = 0;  // how many of its address group stand before it
};

/// In (0, 1), a pure function of where and who. 52 bits and a half fit a double exactly, so neither
/// end is reached.
double uniform(const DhtKey& key, ByteView who) {
    const Sha256Digest digest = sha256({key.view(), who});
    std::uint64_t bits = 0;
    for (unsigned i = 0; i < 8; ++i)
        bits = bits << 8 | digest[i];
    return std::ldexp(static_cast<double>(bits >> 12) + 0.5, -52);
}

/// One entry an id, in an order that does not depend on how they came.
void make_set(std::vector<Candidate>& candidates) {
    const auto as_tuple = [](const Candidate& c) {
        return std::tie(c.id, c.group, c.capacity_class, c.young);
    };
    std::ranges::sort(candidates, {}, as_tuple);
    const auto repeated =
        std::unique(candidates.begin(), candidates.end(),
                    [](const Candidate& a, const Candidate& b) { return a.id == b.id; });
    candidates.erase(repeated, candidates.end());
}

/// The lower median of an even number, so that caps are themselves powers of two.
unsigned median_class(const std::vector<Candidate>& candidates) {
    std::vector<unsigned> classes;
    for (const Candidate& candidate : candidates)
        classes.push_back(candidate.capacity_class);
    const auto median = classes.begin() + static_cast<std::ptrdiff_t>((classes.size() - 1) / 2);
    std::ranges::nth_element(classes, median);
    return *median;
}

double cost_of(double number, unsigned capacity_class, unsigned cap) {
    // Exact, every step of it: the same on every machine.
    return std::ldexp(1 - number, -static_cast<int>(std::min(capacity_class, cap)));
}

auto by_cost(const Ranked& r) {
    return std::tie(r.candidate.young, r.cost, r.candidate.id);
}

}  // namespace

std::uint8_t capacity_class_of(ByteCount capacity) {
    const auto doublings = static_cast<unsigned>(std::bit_width(capacity.value >> 30));
    return static_cast<std::uint8_t>(std::min(doublings, capacity_class_max));
}

bool is_scarce(const AddressGroup& group) {
    const auto& [family, a, b, c, d, e, f, unused] = group.bytes;
    if (family == 4)
        return a != 127 && a != 10 && !(a == 172 && (b & 0xf0U) == 16) && !(a == 192 && b == 168) &&
               !(a == 100 && (b & 0xc0U) == 64) && !(a == 169 && b == 254);
    const bool is_loopback = family == 6 && (a | b | c | d | e | f) == 0;
    return !is_loopback && (a & 0xfeU) != 0xfc && !(a == 0xfe && (b & 0xc0U) == 0x80);
}

std::vector<Candidate> rank_candidates(const DhtKey& key, std::vector<Candidate> candidates) {
    if (candidates.empty()) return candidates;
    make_set(candidates);
    const unsigned median = median_class(candidates);
    const unsigned cap = median + weight_cap_doublings;
    const unsigned scarce_cap = median + scarce_weight_cap_doublings;

    std::vector<Ranked> ranked;
    ranked.reserve(candidates.size());
    for (const Candidate& candidate : candidates) {
        const double number = uniform(key, candidate.id.view());
        ranked.push_back({candidate, cost_of(number, candidate.capacity_class, cap)});
    }

    // Taking, again and again, the best of the least used groups is the same as numbering each
    // group's members best first and sorting by that number before youth and cost.
    std::ranges::sort(ranked, {}, by_cost);
    std::unordered_map<AddressGroup, std::size_t> used;
    for (Ranked& entry : ranked)
        entry.group_rank = used[entry.candidate.group]++;
    for (Ranked& entry : ranked) {
        const auto& [id, group, capacity_class, young] = entry.candidate;
        if (is_scarce(group))
            entry.cost = cost_of(uniform(key, group.view()), capacity_class, scarce_cap);
    }
    std::ranges::sort(ranked, {}, by_cost);
    std::ranges::stable_sort(ranked, {}, &Ranked::group_rank);

    std::ranges::transform(ranked, candidates.begin(), &Ranked::candidate);
    return candidates;
}

}  // namespace flow29::core
