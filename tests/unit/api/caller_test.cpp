// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/caller.hpp"

#include <grp.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "api/fd_channel.hpp"

namespace flow29::api {
namespace {

constexpr uid_t node_user = 990;
constexpr uid_t somebody = 1000;
constexpr gid_t shared_group = 991;

}  // namespace

TEST_CASE("the node's user and root are owners, in whatever group they are") {
    for (const uid_t user : {uid_t{0}, node_user})
        for (const auto shared_with :
             {std::optional<gid_t>(), std::optional<gid_t>(shared_group)}) {
            CHECK(caller_of({user, somebody}, node_user, shared_with) == Caller::owner);
            CHECK(caller_of({user, shared_group}, node_user, shared_with) == Caller::owner);
        }
}

TEST_CASE("somebody else is nobody unless the node is shared with a group of theirs") {
    const PeerIds stranger{somebody, somebody, {4, 24, shared_group + 1}};
    const PeerIds by_supplement{somebody, somebody, {4, shared_group, 24}};
    const PeerIds by_group{somebody, shared_group};
    for (const auto& peer : {stranger, by_supplement, by_group})
        CHECK_FALSE(caller_of(peer, node_user, std::nullopt));
    CHECK_FALSE(caller_of(stranger, node_user, shared_group));
    CHECK(caller_of(by_supplement, node_user, shared_group) == Caller::member);
    CHECK(caller_of(by_group, node_user, shared_group) == Caller::member);
}

TEST_CASE("the group whose number is 0 is not everybody's") {
    CHECK_FALSE(caller_of({somebody, somebody}, node_user, gid_t{0}));
    CHECK(caller_of({somebody, gid_t{0}}, node_user, gid_t{0}) == Caller::member);
}

TEST_CASE("who has the other end of a socket is asked of the kernel") {
    const auto pair = make_socket_pair();
    REQUIRE(pair);
    CHECK(caller_at(pair->here.get(), std::nullopt) == Caller::owner);
    CHECK(caller_at(pair->here.get(), ::getegid()) == Caller::owner);
    CHECK_FALSE(caller_at(-1, std::nullopt));
}

TEST_CASE("a group is found by its name and by its number") {
    const group* const own = ::getgrgid(::getegid());
    if (own != nullptr) CHECK(find_group(own->gr_name).value() == ::getegid());
    CHECK(find_group("4294967000").value() == 4'294'967'000U);
    for (const char* const wrong : {"", "no such group", "12x", "-1", "99999999999"}) {
        const auto found = find_group(wrong);
        REQUIRE_MESSAGE(!found.has_value(), wrong);
        CHECK(found.error().code == Errc::usage);
    }
}

}  // namespace flow29::api
