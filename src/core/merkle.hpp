// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::core {

/// The top of the RFC 6962 tree over `nodes`: tree(n>1) = node(tree(first k), tree(rest)) with k
/// the largest power of two below n. `nodes` may be leaves, or the tops of equal complete subtrees
/// with a ragged last one: both give the hash of the same whole tree. No nodes: empty_tree_hash().
[[nodiscard]] TreeHash fold(std::span<const TreeHash> nodes);

/// The nodes `levels` levels above `nodes`, in their place from the first on: how many there are.
/// Level by level, one without a sibling rising as it is, which gives the shape of RFC 6962.
std::size_t fold_levels(std::span<TreeHash> nodes, unsigned levels);

/// The tops of groups of 2^group_level leaves, the last one possibly ragged.
[[nodiscard]] std::vector<TreeHash> group_tops(std::span<const ChunkHash> leaves,
                                               unsigned group_level);

/// The tree hash of `data` cut into 512-byte chunks: leaf_hashes, then fold.
[[nodiscard]] TreeHash tree_hash(ByteView data);

/// Builds a tree from leaves or equal subtrees as they come, in O(log n) memory.
class TreeBuilder {
  public:
    void push(const TreeHash& node);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    /// The top over everything pushed so far; the builder can go on.
    [[nodiscard]] TreeHash top() const;

  private:
    struct Peak {
        TreeHash hash;
        std::uint64_t nodes;  // a power of two
    };
    std::vector<Peak> peaks_;  // sizes strictly fall
    std::uint64_t count_ = 0;
};

/// The hashes that prove a range of chunks against the top of their tree.
///
/// Order: a walk of the tree from its top, left before right; each maximal subtree that lies wholly
/// outside the range contributes its hash. So a proof for everything is empty, and a proof for one
/// chunk of 2,048 has 11 hashes.
///
///            top                proof of [2,4) of 6 chunks:
///           /    \                 A = tree[0,2), then B = tree[4,6);
///        [0,4)   [4,6)=B
///        /   \                    nothing for [2,4) itself
///     A=[0,2) [2,4)
using Proof = std::vector<TreeHash>;

/// The hashes above groups of 2^group_level chunks of one extent: what a holder keeps so that it
/// can prove aligned ranges without hashing data. 32 bytes per 16 KiB at group level 5 to store,
/// twice that in memory: every node above the groups is hashed once, on construction, since a
/// holder serves many ranges of one extent.
class GroupTree {
  public:
    /// Over the data of a whole extent, or nothing at all.
    [[nodiscard]] static GroupTree build(ByteView data, unsigned group_level);
    /// From stored group hashes. Requires group_hashes.size() == ceil(chunks / 2^group_level).
    GroupTree(std::vector<TreeHash> group_hashes, ChunkCount chunks, unsigned group_level);

    [[nodiscard]] TreeHash top() const;
    [[nodiscard]] ChunkCount chunks() const { return chunks_; }
    [[nodiscard]] unsigned group_level() const { return group_level_; }
    [[nodiscard]] std::span<const TreeHash> group_hashes() const { return layers_.front(); }

    /// The chunk range, widened to group borders, whose data `prove` needs to see for `range`:
    /// empty when `range` already lies on group borders (or ends at the last chunk).
    [[nodiscard]] ChunkRange data_needed(ChunkRange range) const;

    /// The proof of `range`. `data` are the bytes of data_needed(range); ignored when that is
    /// empty. Requires range to be non-empty and within chunks(). O(log groups), and the hashing of
    /// what the range leaves out of the groups that it touches.
    [[nodiscard]] Proof prove(ChunkRange range, ByteView data) const;

  private:
    [[nodiscard]] TreeHash node_above(std::uint64_t first_group, std::uint64_t last_group) const;

    // layers_[k][i] is the top over groups [i * 2^k, (i + 1) * 2^k), fewer at the end; a node
    // without a sibling rises as it is, which gives the shape of RFC 6962. The last layer is the
    // top alone.
    std::vector<std::vector<TreeHash>> layers_;
    ChunkCount chunks_;
    unsigned group_level_;
};

/// What a verified range yields besides trust.
struct VerifiedRange {
    std::vector<ChunkHash> leaves;  ///< of the range's chunks, in order
    /// The tops of its groups of 2^limits::hash_group_level chunks, in order; none when the range
    /// does not lie on borders of groups, of which the last may be ragged.
    std::vector<TreeHash> group_hashes;
};

/// Checks `data`, the bytes of `range` of a tree of `chunks` chunks, against `top`.
/// `chunks` comes from a descriptor that was checked: a range that does not reach the last chunk
/// proves its bytes and place, but not how many chunks there are.
///
/// Errors (Errc::verification_failed): a wrong byte, a wrong proof, a proof with too few or too
/// many hashes, a range that is empty or outside the tree, or a length that the range's bytes
/// cannot have. The error says which chunk only if one chunk was asked: a proof cannot tell more.
/// Nothing is allocated beyond one hash per chunk of `data`. Time O(data + log chunks).
[[nodiscard]] Result<VerifiedRange> verify_range(const TreeHash& top, ChunkCount chunks,
                                                 ChunkRange range, ByteView data,
                                                 const Proof& proof);

/// The number of hashes in the proof of `range` in a tree of `chunks` chunks.
[[nodiscard]] std::size_t proof_length(ChunkCount chunks, ChunkRange range);

}  // namespace flow29::core
