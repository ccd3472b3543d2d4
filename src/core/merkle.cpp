// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/merkle.hpp"

#include "core/assert.hpp"
#include "core/hash.hpp"
#include "core/layout.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <string>

namespace flow29::core {
namespace {

/// The shape of the tree: where a subtree of at least two chunks divides.
ChunkIndex split_of(ChunkRange subtree) {
    const std::uint64_t left = std::bit_floor(subtree.count().value - 1);
    return ChunkIndex(subtree.first.value + left);
}

bool disjoint(ChunkRange a, ChunkRange b) {
    return a.last <= b.first || b.last <= a.first;
}

bool encloses(ChunkRange outer, ChunkRange inner) {
    return outer.first <= inner.first && inner.last <= outer.last;
}

/// Calls `visit` with each maximal subtree of `subtree` outside `range`, left before right.
/// At most two subtrees a level are divided, and a level at least halves: depth and calls are
/// O(log chunks), at most 64 deep.
template <class Visit>
void for_each_outside(ChunkRange subtree, ChunkRange range, const Visit& visit) {
    if (encloses(range, subtree)) return;
    if (disjoint(range, subtree)) {
        visit(subtree);
        return;
    }
    const ChunkIndex split = split_of(subtree);
    for_each_outside({subtree.first, split}, range, visit);
    for_each_outside({split, subtree.last}, range, visit);
}

ChunkRange whole(ChunkCount chunks) {
    return {ChunkIndex(0), ChunkIndex(chunks.value)};
}

/// The nodes of a range, `level` levels above its chunks, and the hashes of a proof, put together
/// again in the order of the walk. The caller has checked that there is exactly the right number of
/// each, and that the range lies on borders of such nodes.
class Rebuild {
  public:
    Rebuild(ChunkRange range, std::span<const TreeHash> nodes, unsigned level, const Proof& proof)
        : range_(range), nodes_(nodes), level_(level), proof_(proof) {}

    TreeHash top_of(ChunkRange subtree) {
        if (encloses(range_, subtree)) {
            const std::uint64_t first = (subtree.first.value - range_.first.value) >> level_;
            const std::uint64_t last = (subtree.last.value - 1 - range_.first.value) >> level_;
            return fold(nodes_.subspan(first, last + 1 - first));
        }
        if (disjoint(range_, subtree)) return proof_[used_++];
        const ChunkIndex split = split_of(subtree);
        // Two statements, because the order of evaluation is the order of the proof.
        const TreeHash left = top_of({subtree.first, split});
        const TreeHash right = top_of({split, subtree.last});
        return node_hash(left, right);
    }

  private:
    ChunkRange range_;
    std::span<const TreeHash> nodes_;
    unsigned level_;
    const Proof& proof_;
    std::size_t used_ = 0;
};

std::string name_of(ChunkRange range) {
    if (range.count() == ChunkCount(1)) return "chunk " + std::to_string(range.first.value);
    return "chunks " + std::to_string(range.first.value) + " to " +
           std::to_string(range.last.value - 1);
}

/// True when the range is whole groups, of which the tree's last may be ragged.
bool on_group_borders(ChunkRange range, ChunkCount chunks) {
    constexpr std::uint64_t group = 1ULL << limits::hash_group_level;
    return range.first.value % group == 0 &&
           (range.last.value % group == 0 || range.last.value == chunks.value);
}

/// True when `data` can be the bytes of `range`: every chunk full but the tree's last, which has at
/// least one byte.
bool size_fits(ByteView data, ChunkCount chunks, ChunkRange range) {
    if (chunks_in(ByteCount(data.size())) != range.count()) return false;
    return range.last.value == chunks.value || data.size() % limits::chunk_bytes == 0;
}

/// One level up; one without a sibling rises as it is. `out` may be where `nodes` begins.
void rise(std::span<const TreeHash> nodes, std::span<TreeHash> out) {
    node_hashes(nodes, out);
    if (nodes.size() % 2 != 0) out[nodes.size() / 2] = nodes.back();
}

}  // namespace

std::size_t fold_levels(std::span<TreeHash> nodes, unsigned levels) {
    std::size_t count = nodes.size();
    for (unsigned level = 0; level < levels && count > 1; ++level) {
        rise(nodes.first(count), nodes);
        count = (count + 1) / 2;
    }
    return count;
}

TreeHash fold(std::span<const TreeHash> nodes) {
    if (nodes.empty()) return empty_tree_hash();
    if (nodes.size() == 1) return nodes.front();
    std::vector<TreeHash> above((nodes.size() + 1) / 2);
    rise(nodes, above);
    fold_levels(above, std::numeric_limits<unsigned>::max());
    return above.front();
}

TreeHash tree_hash(ByteView data) {
    constexpr unsigned batch_level = 8;
    std::array<ChunkHash, 1 << batch_level> leaves;
    TreeBuilder builder;
    while (!data.empty()) {
        const ByteView batch =
            data.first(std::min<std::size_t>(data.size(), leaves.size() * limits::chunk_bytes));
        leaf_hashes(batch, leaves);
        const std::uint64_t count = chunks_in(ByteCount(batch.size())).value;
        fold_levels(std::span(leaves).first(count), batch_level);
        builder.push(leaves.front());
        data = data.subspan(batch.size());
    }
    return builder.top();
}

std::vector<TreeHash> group_tops(std::span<const ChunkHash> leaves, unsigned group_level) {
    std::vector<TreeHash> nodes(leaves.begin(), leaves.end());
    nodes.resize(fold_levels(nodes, group_level));
    return nodes;
}

void TreeBuilder::push(const TreeHash& node) {
    Peak peak{node, 1};
    while (!peaks_.empty() && peaks_.back().nodes == peak.nodes) {
        peak = {node_hash(peaks_.back().hash, peak.hash), peak.nodes * 2};
        peaks_.pop_back();
    }
    peaks_.push_back(peak);
    ++count_;
}

TreeHash TreeBuilder::top() const {
    if (peaks_.empty()) return empty_tree_hash();
    TreeHash top = peaks_.back().hash;
    for (auto peak = peaks_.rbegin() + 1; peak != peaks_.rend(); ++peak)
        top = node_hash(peak->hash, top);
    return top;
}

GroupTree GroupTree::build(ByteView data, unsigned group_level) {
    FLOW29_ASSERT(group_level <= limits::extent_level_max);
    const ChunkCount chunks = chunks_in(ByteCount(data.size()));
    // A batch is groups, or a part of one: both are subtrees, and so rise together.
    constexpr unsigned batch_level = 9;
    const unsigned together = std::min(group_level, batch_level);
    std::vector<TreeHash> groups;
    groups.reserve((chunks.value >> together) + 1);
    std::array<ChunkHash, 1 << batch_level> leaves;
    while (!data.empty()) {
        const ByteView batch =
            data.first(std::min<std::size_t>(data.size(), leaves.size() * limits::chunk_bytes));
        leaf_hashes(batch, leaves);
        const std::uint64_t batch_chunks = chunks_in(ByteCount(batch.size())).value;
        const auto count = fold_levels(std::span(leaves).first(batch_chunks), together);
        groups.insert(groups.end(), leaves.begin(),
                      leaves.begin() + static_cast<std::ptrdiff_t>(count));
        data = data.subspan(batch.size());
    }
    groups.resize(fold_levels(groups, group_level - together));
    return {std::move(groups), chunks, group_level};
}

GroupTree::GroupTree(std::vector<TreeHash> group_hashes, ChunkCount chunks, unsigned group_level)
    : chunks_(chunks), group_level_(group_level) {
    FLOW29_ASSERT(group_level <= limits::extent_level_max);
    const std::uint64_t ragged = chunks.value % (1ULL << group_level) != 0 ? 1 : 0;
    FLOW29_ASSERT(group_hashes.size() == (chunks.value >> group_level) + ragged);
    layers_.push_back(std::move(group_hashes));
    while (layers_.back().size() > 1) {
        const std::vector<TreeHash>& below = layers_.back();
        std::vector<TreeHash> layer((below.size() + 1) / 2);
        rise(below, layer);
        layers_.push_back(std::move(layer));
    }
}

TreeHash GroupTree::top() const {
    return layers_.back().empty() ? empty_tree_hash() : layers_.back().front();
}

// Requires the groups to be a subtree: a power of two of them, or what is left at the end.
TreeHash GroupTree::node_above(std::uint64_t first_group, std::uint64_t last_group) const {
    const auto layer = static_cast<std::size_t>(std::bit_width(last_group - first_group - 1));
    return layers_[layer][first_group >> layer];
}

ChunkRange GroupTree::data_needed(ChunkRange range) const {
    FLOW29_ASSERT(!range.empty());
    FLOW29_ASSERT(range.last.value <= chunks_.value);
    const std::uint64_t first_group = range.first.value >> group_level_;
    const std::uint64_t last_group = ((range.last.value - 1) >> group_level_) + 1;
    const ChunkRange widened{
        ChunkIndex(first_group << group_level_),
        ChunkIndex(last_group == group_hashes().size() ? chunks_.value
                                                       : last_group << group_level_)};
    if (widened == range) return {range.first, range.first};
    return widened;
}

Proof GroupTree::prove(ChunkRange range, ByteView data) const {
    const ChunkRange seen = data_needed(range);
    if (!seen.empty()) FLOW29_ASSERT(size_fits(data, chunks_, seen));
    const std::uint64_t group_chunks = 1ULL << group_level_;

    Proof proof;
    for_each_outside(whole(chunks_), range, [&](ChunkRange subtree) {
        const bool ends_on_border =
            subtree.last.value % group_chunks == 0 || subtree.last.value == chunks_.value;
        if (subtree.first.value % group_chunks == 0 && ends_on_border) {
            const std::uint64_t first = subtree.first.value >> group_level_;
            const std::uint64_t last = (subtree.last.value - 1) >> group_level_;
            proof.push_back(node_above(first, last + 1));
        } else {
            // Inside a group that the range only touches, so `seen` covers it.
            const ChunkRange local{ChunkIndex(subtree.first.value - seen.first.value),
                                   ChunkIndex(subtree.last.value - seen.first.value)};
            const ByteRange bytes = bytes_of(local, ByteCount(data.size()));
            proof.push_back(tree_hash(data.subspan(bytes.first.value, bytes.count().value)));
        }
    });
    return proof;
}

Result<VerifiedRange> verify_range(const TreeHash& top, ChunkCount chunks, ChunkRange range,
                                   ByteView data, const Proof& proof) {
    const auto refuse = [](std::string why) {
        return fail(Errc::verification_failed, std::move(why));
    };
    if (range.empty() || range.last.value > chunks.value)
        return refuse("the range is empty or outside the tree");
    if (!size_fits(data, chunks, range))
        return refuse(name_of(range) + " cannot be " + std::to_string(data.size()) + " bytes");
    const std::size_t hashes = proof_length(chunks, range);
    if (proof.size() != hashes)
        return refuse("the proof of " + name_of(range) + " has " + std::to_string(proof.size()) +
                      " hashes, not " + std::to_string(hashes));

    VerifiedRange verified{std::vector<ChunkHash>(range.count().value), {}};
    leaf_hashes(data, verified.leaves);
    unsigned level = 0;
    std::span<const TreeHash> nodes = verified.leaves;
    if (on_group_borders(range, chunks)) {
        level = limits::hash_group_level;
        verified.group_hashes = group_tops(verified.leaves, level);
        nodes = verified.group_hashes;
    }
    if (Rebuild(range, nodes, level, proof).top_of(whole(chunks)) != top)
        return refuse(name_of(range) + " or their proof do not match the hash");
    return verified;
}

std::size_t proof_length(ChunkCount chunks, ChunkRange range) {
    FLOW29_ASSERT(!range.empty());
    FLOW29_ASSERT(range.last.value <= chunks.value);
    std::size_t hashes = 0;
    for_each_outside(whole(chunks), range, [&](ChunkRange) { ++hashes; });
    return hashes;
}

}  // namespace flow29::core
