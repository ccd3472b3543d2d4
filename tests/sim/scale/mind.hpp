// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "proto/announce_scheduler.hpp"
#include "proto/audit_planner.hpp"
#include "proto/copy_planner.hpp"
#include "proto/node_table.hpp"

namespace flow29::sim::scale {

/// What decides in a node, from its start to its end: the product's own classes.
struct Mind {
    struct Options {
        proto::NodeTable::Options table;
        proto::CopyPlanner::Options planner;
        proto::AnnounceScheduler::Options announcer;
        proto::AuditPlanner::Options auditor;
    };

    explicit Mind(const Options& options)
        : table(options.table),
          planner(table, options.planner),
          announcer(options.announcer, options.auditor.seed),
          auditor(table, planner, options.auditor) {}
    Mind(const Mind&) = delete;
    Mind& operator=(const Mind&) = delete;

    /// When one of them next has something to do by itself; audits have an event of their own.
    [[nodiscard]] TimePoint next_deadline() const {
        TimePoint next = TimePoint::max();
        for (const auto& deadline :
             {table.next_deadline(), planner.next_deadline(), announcer.next_deadline()})
            if (deadline) next = std::min(next, *deadline);
        return next;
    }

    proto::NodeTable table;
    proto::CopyPlanner planner;
    proto::AnnounceScheduler announcer;
    proto::AuditPlanner auditor;
    TimePoint acts_at = TimePoint::max();  ///< of the event that is to come
};

}  // namespace flow29::sim::scale
