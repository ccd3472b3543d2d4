// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the seeds of the fuzz targets, DIRECTORY/<target>/<name>, with the encoders that nodes
// use. Every run writes the same. Run by scripts/fuzz --make-corpus.
#include <cstdio>
#include <random>

#include "core/descriptor.hpp"
#include "core/file_key.hpp"
#include "core/invite.hpp"
#include "core/key_space.hpp"
#include "core/manifest.hpp"
#include "core/pack.hpp"
#include "dht/return_paths.hpp"

#include <flow29/link.hpp>

#include "fixtures.hpp"
#include "place.hpp"
#include "unit/dht/wire.hpp"

namespace {

using namespace flow29;
namespace fs = std::filesystem;

/// The seeds of one target.
class Seeds {
  public:
    Seeds(const fs::path& all, const char* target) : folder_(all / target) {
        fs::create_directories(folder_);
        for (const auto& entry : fs::directory_iterator(folder_))
            if (!entry.path().filename().string().starts_with("found-")) fs::remove(entry.path());
    }
    void add(const std::string& name, const Bytes& octets) const {
        fuzz::write_file(folder_ / name, octets);
    }
    void add(const std::string& name, std::string_view text) const {
        add(name, Bytes(text.begin(), text.end()));
    }
    /// Numbered.
    void add_all(std::initializer_list<std::string_view> texts) const {
        unsigned number = 0;
        for (const auto text : texts)
            add(std::to_string(number++), text);
    }
    /// For targets whose input is a sequence of decisions: any will do.
    void add_decisions() const {
        for (const std::size_t size : {40U, 400U, 1500U}) {
            std::minstd_rand random(static_cast<unsigned>(size));
            Bytes octets(size);
            for (auto& octet : octets)
                octet = static_cast<std::uint8_t>(random() >> 8);
            add("decisions-" + std::to_string(size), octets);
        }
    }

  private:
    fs::path folder_;
};

Bytes joined(Bytes first, ByteView second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

void make_datagrams(const Seeds& seeds) {
    constexpr auto network = dht::test::recorded_network;
    unsigned number = 0;
    const Bytes prefix{network >> 24 & 0xff, network >> 16 & 0xff, network >> 8 & 0xff,
                       network & 0xff};
    for (const auto& recorded : dht::test::recorded)
        seeds.add(std::to_string(number++), joined(prefix, dht::test::unhex(recorded.hex)));
    Bytes longer;
    const Bytes plain = dht::test::unhex(dht::test::recorded[0].hex);
    if (dht::add_path_field(plain, {.first = {1}, .filler = 300}, longer))
        seeds.add("long", joined(prefix, longer));
}

void make_messages(const Seeds& messages, const Seeds& packed) {
    for (const auto& message : proto::sample_messages()) {
        const auto head = proto::encode_head(proto::number_for(message), message);
        const std::string name(proto::message_name(message));
        messages.add(name, head);
        if (head.size() < 100) packed.add(name, head);
    }
}

void make_records(const Seeds& seeds) {
    // The first octet: what the rest is, and at which key.
    const DhtKey key = core::KeySpace().root_key(fuzz::root(0));
    proto::ProviderRecord provider;
    provider.key = key;
    provider.address = proto::sample_v6();
    provider.sequence = proto::sample_now_ms;
    provider.expires = fuzz::wall_now() + std::chrono::hours(1);
    provider.sign(proto::sample_identity());
    seeds.add("provider", joined({0}, provider.encode()));
    provider.summary = {ObjectKind::file, ByteCount(5000), proto::sample_id<TreeHash>(2), 11};
    provider.sign(proto::sample_identity());
    seeds.add("provider-of-root", joined({0}, provider.encode()));
    seeds.add("node", joined({1}, proto::sample_record().encode()));
    seeds.add("node-without-address", joined({1}, proto::sample_record(0).encode()));
    seeds.add("lease", joined({2}, proto::sample_lease().encode()));
    seeds.add_decisions();
}

void make_descriptors(const Seeds& seeds) {
    for (const std::uint64_t extents : {0U, 1U, 3U}) {
        core::Descriptor descriptor;
        for (std::uint64_t i = 0; i < extents; ++i)
            descriptor.extents.push_back(
                proto::sample_id<ExtentHash>(static_cast<std::uint8_t>(i)));
        if (extents != 0) descriptor.length = ByteCount((extents - 1) * 1'048'576 + 700);
        const auto root = descriptor.root();
        seeds.add("extents-" + std::to_string(extents),
                  joined({root.bytes.begin(), root.bytes.end()}, descriptor.encode()));
    }
    seeds.add_decisions();
}

void make_manifests(const Seeds& seeds) {
    const std::vector<std::vector<DirectoryEntry>> trees{
        {},
        {{"a", EntryType::file, ByteCount(1)}},
        {{"a/b", EntryType::executable, ByteCount(513)},
         {"a/c", EntryType::file, {}},
         {"d", EntryType::empty_directory, {}},
         {"e\xff", EntryType::file, ByteCount(4000)}},
        {{"a", EntryType::executable, ByteCount(1), FileTime(std::chrono::hours(5))},
         {"b", EntryType::empty_directory, {}}}};
    unsigned number = 0;
    for (const auto& entries : trees) {
        const auto manifest = core::Manifest::make(entries);
        FLOW29_ASSERT(manifest.has_value());
        const auto encoded = manifest->encode();
        const auto more = manifest->object_length().value - encoded.size();
        FLOW29_ASSERT(more <= 0xffff);
        seeds.add(std::to_string(number++),
                  joined({static_cast<std::uint8_t>(more >> 8), static_cast<std::uint8_t>(more)},
                         encoded));
    }
    seeds.add_decisions();
}

void make_links(const Seeds& seeds) {
    Link link;
    link.root = fuzz::root(1);
    seeds.add("bare", link.to_string());
    seeds.add("base32", to_base32(link.root));
    seeds.add("hex", to_hex(link.root));
    seeds.add("gateway", "http://127.0.0.1:2931/f/" + to_base32(link.root) + "/a/b%20c");
    link.path = "a dir/\xc3\xa9";
    link.name = "50% of it.txt";
    link.size = ByteCount(12'345);
    link.at = {"192.0.2.1:2929", "[2001:db8::1]:2929", "example.org:1"};
    link.key = "k3y";
    seeds.add("full", link.to_string());
    seeds.add("web", "web+" + link.to_string());
}

void make_file_keys(const Seeds& seeds) {
    const auto root = *RootHash::from(Bytes(RootHash::size, 7));  // as in the target
    const auto key = core::FileKey::derive(Bytes(32, 1), ObjectKind::directory, root);
    seeds.add("text", key.to_text(root));
    seeds.add_decisions();
}

void make_identities(const Seeds& seeds) {
    seeds.add("pem", proto::sample_identity().private_pem());
    Bytes spki{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    seeds.add("spki", joined(spki, proto::sample_identity().public_key().view()));
}

void make_invites(const Seeds& seeds) {
    core::Invite invite{{"192.0.2.1:2929"}, {}};
    seeds.add("one", invite.to_string());
    invite.addresses.emplace_back("[2001:db8::1]:2929");
    invite.addresses.emplace_back("example.org:1");
    invite.key = proto::sample_id<core::SwarmKey>(4);
    seeds.add("private", invite.to_string());
    // The target adds what makes words of them.
    seeds.add("body-v4", Bytes{1, 0, 1, 4, 192, 0, 2, 1, 11, 113});
    const std::string_view header("\1\0\1\0\11", 5);
    seeds.add("body-name", std::string(header) + "a.example\13q");
    seeds.add("body-address-as-name", std::string(header) + "192.0.2.1\13q");
    seeds.add_decisions();
}

void make_swarm_keys(const Seeds& seeds) {
    const auto key = proto::sample_id<core::SwarmKey>(4);
    seeds.add("base32", core::swarm_key_text(key));
    seeds.add("hex", to_hex(key));
    seeds.add_decisions();
}

void make_folder_requests(const Seeds& seeds) {
    // There is an output, and a partial one, a file; one grant, of the output but not to replace
    // it.
    const Bytes grant{1, 1, 0, 1, 0};
    seeds.add("replaces", joined(grant, Bytes{0, 6, 0, 1, 1, 0, 0, 0, 1}));
    seeds.add("opens-partial", joined(grant, Bytes{0, 0, 0, 1, 2, 0, 0, 0, 2}));
    seeds.add_decisions();
}

void make_texts(const fs::path& all) {
    Seeds(all, "config")
        .add_all({"data = \"/srv/flow29\"\nbootstrap = [\"192.0.2.1:2929\"]\nport = 2929\n",
                  "listen = [\"0.0.0.0\", \"::\"]\ncapacity = \"50GiB\"\nno-store = true\n",
                  "copies = 5\ngrace = \"5m\"\naudit = \"1h\"\nquota-publisher = \"50%\"\n"
                  "quota_group = 75\nrepair-limit = \"5MiB\"\nup-limit = \"off\"\n",
                  "down-limit = \"10MiB\"\nweb = \"127.0.0.1:2930\"\ngateway = \"off\"\n"});
    Seeds(all, "endpoint")
        .add_all({"192.0.2.1:2929", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:65535", "localhost:0",
                  "off", "\x7f\x01\x01\x01"});
    Seeds(all, "quantity")
        .add_all({"50GiB", "1.5 MB", "512", "1h30m", "100y", "350ms", "off", "50%", "0-511", "512-",
                  "18446744073709551615"});
    Seeds(all, "event")
        .add_all({"{\"event\":\"progress\",\"stage\":\"data\",\"done_bytes\":5,\"total_bytes\":9}",
                  "{\"event\":\"error\",\"code\":\"not_found\",\"exit\":4,\"message\":\"x\"}",
                  "{\"event\":\"done\",\"root\":\"00\"}"});
    // The first octet says whether paths may be named.
    const auto link = "\"flow29:" + to_base32(fuzz::root(1)) + "\"";
    const auto of_link = [&link](const char* method, const char* more) {
        return std::string("\1{\"method\":\"") + method + "\",\"params\":{\"link\":" + link + more +
               "}}\n";
    };
    const Seeds control(all, "control");
    control.add("fetch",
                of_link("fetch", ",\"path\":\"/srv/x\",\"range\":{\"first\":0,\"end\":9}"));
    control.add("fetch-relative", of_link("fetch", ",\"path\":\"srv/x\""));
    control.add("fetch-name", of_link("fetch", ",\"path\":\"/srv\",\"name\":\"../x\""));
    control.add("fetch-backwards",
                of_link("fetch", ",\"path\":\"/srv/x\",\"range\":{\"first\":9,\"end\":5}"));
    control.add("publish-many",
                "\1{\"method\":\"publish\",\"params\":{\"path\":\"/srv/x\",\"copies\":99}}\n");
    control.add("publish-from-a-page",
                "\2{\"method\":\"publish\",\"params\":{\"path\":\"/srv/x\"}}\n");
    control.add("cat", of_link("cat", ",\"idle_timeout_ms\":1000"));
    control.add("list", of_link("list", ""));
    control.add("health", of_link("health", ",\"timeout_ms\":5,\"repair\":true"));
    control.add("publish",
                "\1{\"method\":\"publish\",\"params\":{\"path\":\"/srv/x\",\"copies\":4,"
                "\"extent_chunks\":2048,\"wait\":\"none\",\"lease_ms\":86400000}}\n");
    control.add("limit", "\1{\"method\":\"limit\",\"params\":{\"up\":8192,\"repair\":0}}\n");
    control.add("two",
                "\2{\"method\":\"status\"}\n{\"method\":\"block\",\"params\":{}}\n"
                "{\"method\":\"transfers/pause\",\"params\":{\"id\":1}}\n");
    // The first octet says what is done with the path.
    Seeds(all, "path")
        .add_all({"\3a/b/c", "\7n/e/w", "\17a/f", "\1../outside/secret", "\3out/x", "\17out",
                  "\17a/root/secret", "\17a/s", "\3a//b", "\3./a", "\7a/l/x"});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: fuzz_make_corpus DIRECTORY\n", stderr);
        return 2;
    }
    const fs::path all = argv[1];
    make_datagrams(Seeds(all, "datagram_guard"));
    make_messages(Seeds(all, "message"), Seeds(all, "pack"));
    make_records(Seeds(all, "record"));
    make_descriptors(Seeds(all, "descriptor"));
    make_manifests(Seeds(all, "manifest"));
    make_links(Seeds(all, "link"));
    make_file_keys(Seeds(all, "file_key"));
    make_identities(Seeds(all, "identity"));
    make_invites(Seeds(all, "invite"));
    make_swarm_keys(Seeds(all, "swarm_key"));
    make_folder_requests(Seeds(all, "folder_server"));
    make_texts(all);
    for (const char* const target :
         {"copy_planner", "download_planner", "fair_share", "folder_channel", "http", "inbox",
          "journal", "kept", "merkle", "page", "range_set", "saved", "sealed", "session", "store",
          "tls_records"})
        Seeds(all, target).add_decisions();
    return 0;
}
