// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/metrics.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace flow29::api {
namespace {

/// Writes the text, a family at a time.
class Writer {
  public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        text_ += fmt::format("# HELP flow29_{0} {2}\n# TYPE flow29_{0} {1}\n", name, type, help);
    }
    template <class Number>
    void sample(std::string_view name, std::string_view labels, Number value) {
        text_ += fmt::format("flow29_{}{} {}\n", name, labels, value);
    }
    template <class Number>
    void gauge(std::string_view name, std::string_view help, Number value) {
        family(name, "gauge", help);
        sample(name, "", value);
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

void write_traffic(Writer& out, const Status& status) {
    constexpr std::string_view bytes = "traffic_bytes_total";
    out.family(bytes, "counter", "Bytes moved since the start.");
    out.sample(bytes, "{plane=\"data\",direction=\"up\"}", status.up.value);
    out.sample(bytes, "{plane=\"data\",direction=\"down\"}", status.down.value);
    out.sample(bytes, "{plane=\"dht\",direction=\"up\"}", status.dht_up.value);
    out.sample(bytes, "{plane=\"dht\",direction=\"down\"}", status.dht_down.value);
    constexpr std::string_view packets = "dht_packets_total";
    out.family(packets, "counter", "Datagrams of the DHT since the start.");
    out.sample(packets, "{direction=\"up\"}", status.dht_packets_up);
    out.sample(packets, "{direction=\"down\"}", status.dht_packets_down);
    constexpr std::string_view operations = "dht_operations_total";
    out.family(operations, "counter", "Puts and look-ups begun in the DHT since the start.");
    out.sample(operations, "{kind=\"put\"}", status.dht_puts);
    out.sample(operations, "{kind=\"lookup\"}", status.dht_lookups);
}

void write_objects(Writer& out, const std::vector<ObjectEntry>& objects) {
    std::map<unsigned, std::uint64_t> by_copies;
    std::uint64_t under_target = 0;
    for (const ObjectEntry& object : objects) {
        // What expired is not to have any.
        if (!object.published || object.expired) continue;
        const auto copies = object.copies_min.value_or(0);
        ++by_copies[copies];
        if (copies < object.target) ++under_target;
    }
    constexpr std::string_view name = "published_objects";
    out.family(name, "gauge",
               "Objects published here, by the copies last known of the worst part.");
    for (const auto& [copies, count] : by_copies)
        out.sample(name, fmt::format("{{copies=\"{}\"}}", copies), count);
    out.gauge("published_objects_under_target",
              "Objects published here with fewer copies than wanted, as last known.", under_target);
}

}  // namespace

std::string metrics_text(const Status& status, const std::vector<PeerInfo>& peers,
                         const std::vector<ObjectEntry>& objects) {
    Writer out;
    out.gauge("uptime_seconds", "Since the start.",
              static_cast<double>(status.uptime.count()) / 1000);
    out.gauge("clock_skew_seconds", "Difference to the median of the peers' clocks.",
              static_cast<double>(status.clock_skew.count()) / 1000);
    out.gauge("dht_connected", "1 when other nodes of the DHT answer.",
              status.dht_connected ? 1 : 0);
    out.gauge("dht_nodes", "Good nodes in the routing table.", status.dht_nodes);
    out.gauge("dht_records", "Records that this node keeps for the DHT, its own included.",
              status.dht_records);
    out.gauge("peers", "Open connections.",
              std::count_if(peers.begin(), peers.end(),
                            [](const PeerInfo& peer) { return peer.connected; }));
    out.gauge("peers_banned", "Nodes not talked to any more for what they did.",
              std::count_if(peers.begin(), peers.end(),
                            [](const PeerInfo& peer) { return peer.banned; }));
    out.gauge("peers_storing", "Open connections to nodes that store.",
              std::count_if(peers.begin(), peers.end(),
                            [](const PeerInfo& peer) { return peer.storing; }));
    out.gauge("storage_used_bytes", "On disk.", status.used.value);
    out.gauge("storage_capacity_bytes", "Allowed on disk.", status.capacity.value);
    if (status.disk_left)
        out.gauge("storage_disk_left_bytes", "What the store may still take of the disk.",
                  status.disk_left->value);
    out.gauge("storage_objects", "Objects in the catalogue.", status.objects);
    out.gauge("storage_extents", "Extents held.", status.extents);
    out.gauge("under_target_extents", "Held extents with fewer copies than wanted.",
              status.under_target);
    out.gauge("repairs_in_flight", "Copies being made.", status.repairs_in_flight);
    out.family("repaired_bytes_total", "counter", "Bytes of copies made again.");
    out.sample("repaired_bytes_total", "", status.repaired.value);
    out.gauge("announced_records", "Records kept up in the DHT.", status.announced_records);
    out.gauge("announce_due_per_hour", "Records to be announced again each hour.",
              status.announce_due_per_hour);
    out.gauge("announce_behind", "1 when announcing does not keep up.",
              status.announce_behind ? 1 : 0);
    write_traffic(out, status);
    write_objects(out, objects);
    return out.take();
}

}  // namespace flow29::api
