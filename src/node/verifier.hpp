// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <flow29/node.hpp>
#include "node/caretaker.hpp"
#include "node/keeper.hpp"
#include "node/neighbourhood.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Reads what is kept here against its hashes and has others give again what is damaged.
///
/// Rules:
/// 1. One extent at a time, at limits::verify_rate, so that the disk serves others meanwhile.
/// 2. What is damaged is dropped as it is found, before anything is healed.
///    Rationale: a copy that is known to be bad must not count for a moment longer.
/// 3. What ought to be here is what this node was invited to keep under a lease that is live, and
///    all of what is published or pinned here. Only that is missed, and healed.
///    Rationale: what a reader fetched lies in his own file, which he may change.
class Verifier {
  public:
    struct Events {
        /// Found damaged, and dropped by the store.
        std::function<void(const ExtentHash& extent)> on_damaged;
        /// These are here of an object that could not be cared for until now.
        std::function<void(const Kept& kept)> on_kept;
    };

    Verifier(Services services, Tasks& tasks, Neighbourhood& neighbourhood,
             const proto::NodeTable& table, Caretaker& caretaker, Keeper& keeper, Events events)
        : services_(services),
          tasks_(tasks),
          neighbourhood_(neighbourhood),
          table_(table),
          caretaker_(caretaker),
          keeper_(keeper),
          events_(std::move(events)) {}

    /// Errors: not_found (no such object here), interrupted, and the store's when its catalogue
    /// cannot be read.
    [[nodiscard]] asio::awaitable<Result<Verification>> verify(VerifyRequest request,
                                                               ProgressFn progress);

  private:
    struct Pass;
    using PassPtr = std::shared_ptr<Pass>;
    /// Something that ought to be here and is not, with what it takes to get it again.
    struct Lacking {
        proto::ItemId item;
        ByteCount length;
        std::optional<proto::Lease> lease;  // none: nobody would have to give it
        std::vector<proto::NodeRecord> sources;
    };

    // On a worker.
    [[nodiscard]] static Result<std::vector<RootHash>> roots(store::Store& store,
                                                             std::optional<RootHash> only);
    [[nodiscard]] static Result<std::vector<store::HeldExtent>> page_after(
        store::Store& store, std::optional<RootHash> only, std::optional<ExtentHash> after);
    [[nodiscard]] static Result<ByteCount> sum(store::Store& store, std::optional<RootHash> only);
    /// `dropped`: what was found damaged in the store itself, which makes up for it even if it was
    /// not asked to keep that, as when it was fetched.
    [[nodiscard]] std::vector<Lacking> lacking_of(const RootHash& root,
                                                  const std::set<ExtentHash>& dropped,
                                                  WallTime wall_now) const;
    [[nodiscard]] Lacking lacking_descriptor(const RootHash& root, WallTime wall_now) const;
    [[nodiscard]] std::vector<proto::NodeRecord> known_holders(const proto::ItemId& item) const;
    [[nodiscard]] std::vector<proto::ItemId> marked(const RootHash& root) const;
    [[nodiscard]] bool is_here(const proto::ItemId& item) const;

    [[nodiscard]] asio::awaitable<Result<void>> read_objects(PassPtr pass,
                                                             std::vector<RootHash> roots);
    [[nodiscard]] asio::awaitable<void> mend_object(PassPtr pass, RootHash root);
    [[nodiscard]] asio::awaitable<Result<void>> read_extents(PassPtr pass);
    [[nodiscard]] asio::awaitable<Result<void>> read_extent(PassPtr pass, store::HeldExtent extent);
    [[nodiscard]] asio::awaitable<Result<void>> heal_extents(PassPtr pass,
                                                             std::vector<RootHash> roots);
    [[nodiscard]] asio::awaitable<void> heal(PassPtr pass, Lacking lacking);
    static void forgive_changed_files(Pass& pass);
    [[nodiscard]] asio::awaitable<void> heal_beside(PassPtr pass, Lacking lacking);
    [[nodiscard]] asio::awaitable<void> count_healed(PassPtr pass);
    [[nodiscard]] asio::awaitable<void> check_catalogue(PassPtr pass);
    [[nodiscard]] Result<void> going_on(const Pass& pass) const;
    void report(Pass& pass, Stage stage);

    Services services_;
    Tasks& tasks_;                   // owned by the engine
    Neighbourhood& neighbourhood_;   // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
    Caretaker& caretaker_;           // owned by the engine
    Keeper& keeper_;                 // owned by the engine
    Events events_;
};

}  // namespace flow29::node
