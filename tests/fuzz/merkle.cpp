// SPDX-License-Identifier: GPL-3.0-or-later
#include <bit>

#include <flow29/limits.hpp>

#include "core/hash.hpp"
#include "core/layout.hpp"
#include "core/merkle.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

/// The tree as RFC 6962 defines it, and the proof as merkle.hpp does, by recursion.
class Model {
  public:
    explicit Model(ByteView data) {
        for (; !data.empty(); data = data.subspan(std::min<std::size_t>(data.size(), 512)))
            leaves_.push_back(core::leaf_hash(data.first(std::min<std::size_t>(data.size(), 512))));
    }
    [[nodiscard]] std::uint64_t chunks() const { return leaves_.size(); }
    [[nodiscard]] TreeHash top() const { return top(0, chunks()); }
    [[nodiscard]] core::Proof proof(ChunkRange range) const {
        core::Proof out;
        add(0, chunks(), range, out);
        return out;
    }
    [[nodiscard]] std::vector<ChunkHash> leaves(ChunkRange range) const {
        return {leaves_.begin() + static_cast<std::ptrdiff_t>(range.first.value),
                leaves_.begin() + static_cast<std::ptrdiff_t>(range.last.value)};
    }

  private:
    [[nodiscard]] TreeHash top(std::uint64_t first, std::uint64_t last) const {
        if (first == last) return core::empty_tree_hash();
        if (first + 1 == last) return leaves_[first];
        const auto middle = first + std::bit_floor(last - first - 1);
        return core::node_hash(top(first, middle), top(middle, last));
    }
    void add(std::uint64_t first, std::uint64_t last, ChunkRange range, core::Proof& out) const {
        if (last <= range.first.value || first >= range.last.value)
            return out.push_back(top(first, last));
        if (first >= range.first.value && last <= range.last.value) return;
        const auto middle = first + std::bit_floor(last - first - 1);
        add(first, middle, range, out);
        add(middle, last, range, out);
    }

    std::vector<ChunkHash> leaves_;
};

Bytes make_data(fuzz::Input& input) {
    Bytes data(1 + input.number(40 * limits::chunk_bytes - 1));
    const auto seed = input.octet();
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = static_cast<std::uint8_t>(i / 512 * 31 + i * 7 + seed);
    return data;
}

}  // namespace

/// A holder proves what the definition says; and of ranges, octets and proofs that were tampered
/// with, nothing is believed but the truth.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const Bytes truth = make_data(input);
    const Model model(truth);
    const auto group_level = static_cast<unsigned>(input.number(6));
    const auto tree = core::GroupTree::build(truth, group_level);
    const auto top = model.top();
    FLOW29_ASSERT(tree.top() == top && core::tree_hash(truth) == top);
    core::TreeBuilder builder;
    for (const auto& leaf : model.leaves({ChunkIndex(0), ChunkIndex(model.chunks())}))
        builder.push(leaf);
    FLOW29_ASSERT(builder.top() == top);

    ChunkRange range;
    range.first = ChunkIndex(input.number(model.chunks() - 1));
    range.last =
        ChunkIndex(range.first.value + 1 + input.number(model.chunks() - range.first.value - 1));
    const ByteView view(truth);
    const auto slice = [&view](ChunkRange chunks) {
        const auto bytes = core::bytes_of(chunks, ByteCount(view.size()));
        return view.subspan(bytes.first.value, bytes.count().value);
    };
    const auto needed = tree.data_needed(range);
    auto proof = tree.prove(range, needed.empty() ? ByteView() : slice(needed));
    FLOW29_ASSERT(proof == model.proof(range));
    FLOW29_ASSERT(proof.size() == core::proof_length(ChunkCount(model.chunks()), range));
    const auto right = slice(range);
    const auto good = core::verify_range(top, ChunkCount(model.chunks()), range, right, proof);
    FLOW29_ASSERT(good && good->leaves == model.leaves(range));

    Bytes claimed(right.begin(), right.end());
    auto chunks = ChunkCount(model.chunks());
    auto place = range;
    for (auto changes = input.number(3); changes > 0; --changes) {
        const auto what = input.octet();
        if (what % 8 == 0 && !claimed.empty())
            claimed[input.number(claimed.size() - 1)] ^= input.octet();
        else if (what % 8 == 1)
            claimed.resize(input.number(claimed.size() + 600));
        else if (what % 8 == 2 && !proof.empty())
            proof[input.number(proof.size() - 1)].bytes[what / 8U] ^= input.octet();
        else if (what % 8 == 3)
            proof.resize(input.number(proof.size() + 2));
        else if (what % 8 == 4 && proof.size() > 1)
            std::swap(proof.front(), proof[input.number(proof.size() - 1)]);
        else if (what % 8 == 5)
            place = {ChunkIndex(input.number(50)), ChunkIndex(input.number(50))};
        else if (what % 8 == 6)
            place = {ChunkIndex(input.number(~std::uint64_t{0})),
                     ChunkIndex(input.number(~std::uint64_t{0}))};
        else
            chunks = ChunkCount(what < 128 ? input.number(60) : input.number(~std::uint64_t{0}));
    }
    const auto verified = core::verify_range(top, chunks, place, claimed, proof);
    if (!verified) {
        FLOW29_ASSERT(verified.error().code == Errc::verification_failed);
        return 0;
    }
    FLOW29_ASSERT(verified->leaves.size() == place.count().value);
    FLOW29_ASSERT(verified->group_hashes.empty() ||
                  verified->group_hashes ==
                      core::group_tops(verified->leaves, limits::hash_group_level));
    // The count comes from a descriptor that was checked; a wrong one proves nothing.
    if (chunks.value != model.chunks()) return 0;
    FLOW29_ASSERT(place.last.value <= model.chunks());
    FLOW29_ASSERT(std::ranges::equal(claimed, slice(place)) && proof == model.proof(place));
    return 0;
}
