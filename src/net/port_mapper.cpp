// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/port_mapper.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <natpmp.h>

#include "core/log.hpp"
#include "net/resolve.hpp"

namespace flow29::net {
namespace {

namespace log = core::log;

constexpr std::uint32_t lease_seconds = 3600;
constexpr int renew_ms = lease_seconds / 2 * 1000;
constexpr int retry_ms = 5 * 60 * 1000;
constexpr int natpmp_patience_ms = 3000;
constexpr int upnp_discovery_ms = 2000;
constexpr std::size_t text_bytes = 64;
constexpr const char* description = "29 Flow";

core::Endpoint endpoint_of(const in_addr& address, std::uint16_t port) {
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(&address), 4);
    return core::Endpoint::from_octets(octets, port).value_or(core::Endpoint());
}

/// The default gateway. libnatpmp looks where a sandbox may hide it.
std::optional<in_addr_t> default_gateway() {
    std::ifstream table("/proc/self/net/route");
    std::string line;
    std::getline(table, line);  // what the columns are
    while (std::getline(table, line)) {
        std::istringstream columns(line);
        std::string interface;
        std::uint32_t destination = 0;
        std::uint32_t gateway = 0;
        columns >> interface >> std::hex >> destination >> gateway;
        // As the kernel writes them: the octets of the address, read as a number of this machine.
        if (columns && destination == 0 && gateway != 0) return gateway;
    }
    return std::nullopt;
}

/// The address that this machine has towards the gateway.
std::optional<core::Endpoint> own_address_towards(in_addr_t gateway) {
    const core::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(NATPMP_PORT);
    there.sin_addr.s_addr = gateway;
    sockaddr_in here{};
    socklen_t size = sizeof here;
    const bool known =
        socket &&
        ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0 &&
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&here), &size) == 0;
    if (!known) return std::nullopt;
    return endpoint_of(here.sin_addr, 0);
}

/// One NAT-PMP conversation.
class NatPmp {
  public:
    explicit NatPmp(in_addr_t gateway) : open_(::initnatpmp(&state_, 1, gateway) == 0) {}
    ~NatPmp() {
        if (open_) ::closenatpmp(&state_);
    }
    NatPmp(const NatPmp&) = delete;
    NatPmp& operator=(const NatPmp&) = delete;

    [[nodiscard]] std::optional<natpmpresp_t> external_address(int stop) {
        if (!open_ || ::sendpublicaddressrequest(&state_) < 0) return std::nullopt;
        return answer(stop);
    }
    [[nodiscard]] std::optional<natpmpresp_t> map(int protocol, std::uint16_t inside,
                                                  std::uint16_t outside, std::uint32_t seconds,
                                                  int stop) {
        if (!open_ || ::sendnewportmappingrequest(&state_, protocol, inside, outside, seconds) < 0)
            return std::nullopt;
        return answer(stop);
    }

  private:
    /// Nothing when none came in time, the gateway refused, or `stop` became readable.
    [[nodiscard]] std::optional<natpmpresp_t> answer(int stop) {
        for (int waited = 0; waited <= natpmp_patience_ms;) {
            timeval until{};
            ::getnatpmprequesttimeout(&state_, &until);
            const int pause = static_cast<int>(until.tv_sec * 1000 + until.tv_usec / 1000) + 1;
            pollfd events[] = {{state_.s, POLLIN, 0}, {stop, POLLIN, 0}};
            (void)::poll(events, 2, pause);
            if (events[1].revents != 0) return std::nullopt;
            waited += pause;
            natpmpresp_t response{};
            const int outcome = ::readnatpmpresponseorretry(&state_, &response);
            if (outcome == 0) return response;
            if (outcome != NATPMP_TRYAGAIN) return std::nullopt;
        }
        return std::nullopt;
    }

    natpmp_t state_{};
    bool open_;
};

struct FreeDevices {
    void operator()(UPNPDev* devices) const { ::freeUPNPDevlist(devices); }
};

}  // namespace

PortMapper::PortMapper(std::uint16_t port, ChangedFn changed)
    : port_(port),
      changed_(std::move(changed)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { run(); }) {}

PortMapper::~PortMapper() {
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    thread_.join();
}

bool PortMapper::wait(int milliseconds) const {
    pollfd event{stop_.get(), POLLIN, 0};
    return ::poll(&event, 1, milliseconds) == 0;
}

void PortMapper::run() {
    for (bool first = true;; first = false) {
        auto mapped = map_port();
        if (first || mapped != mapped_) {
            if (mapped.external)
                log::info("port", "the gateway lets others in at {} ({})",
                          mapped.external->to_string(), mapped.method);
            else if (!mapped.problem.empty())
                log::info("port", "no port mapping: {}", mapped.problem);
            mapped_ = std::move(mapped);
            if (!wait(0)) break;
            changed_(mapped_);
        }
        if (!wait(mapped_.external ? renew_ms : retry_ms)) break;
    }
    unmap();
}

MappedPort PortMapper::map_port() {
    const auto gateway = default_gateway();
    if (!gateway) return {{}, {}, "there is no default gateway"};
    const auto own = own_address_towards(*gateway);
    if (!own) return {{}, {}, "the gateway cannot be reached"};
    if (!is_private(*own)) return {};
    auto mapped = map_by_natpmp(*gateway);
    if (mapped.external || !wait(0)) return mapped;
    auto by_upnp = map_by_upnp();
    if (!by_upnp.external) by_upnp.problem = mapped.problem + "; " + by_upnp.problem;
    return by_upnp;
}

MappedPort PortMapper::map_by_natpmp(std::uint32_t gateway) {
    NatPmp natpmp(gateway);
    const int stop = stop_.get();
    const auto address = natpmp.external_address(stop);
    if (!address) return {{}, {}, "the gateway does not answer NAT-PMP"};
    const auto tcp = natpmp.map(NATPMP_PROTOCOL_TCP, port_, port_, lease_seconds, stop);
    if (!tcp) return {{}, {}, "the gateway refuses by NAT-PMP"};
    // A node has one number for both.
    const auto outside = tcp->pnu.newportmapping.mappedpublicport;
    const auto udp = natpmp.map(NATPMP_PROTOCOL_UDP, port_, outside, lease_seconds, stop);
    if (!udp || udp->pnu.newportmapping.mappedpublicport != outside) {
        (void)natpmp.map(NATPMP_PROTOCOL_TCP, port_, 0, 0, stop);
        if (udp) (void)natpmp.map(NATPMP_PROTOCOL_UDP, port_, 0, 0, stop);
        return {{}, {}, "the gateway gives TCP and UDP different ports by NAT-PMP"};
    }
    return {"natpmp", endpoint_of(address->pnu.publicaddress.addr, outside), {}};
}

MappedPort PortMapper::map_by_upnp() {
    int problem = 0;
    const std::unique_ptr<UPNPDev, FreeDevices> devices(
        ::upnpDiscover(upnp_discovery_ms, nullptr, nullptr, UPNP_LOCAL_PORT_ANY, 0, 2, &problem));
    if (!devices) return {{}, {}, "no UPnP gateway answers"};
    UPNPUrls urls{};
    IGDdatas data{};
    std::array<char, text_bytes> own{};
    const int found =
        ::UPNP_GetValidIGD(devices.get(), &urls, &data, own.data(), static_cast<int>(own.size()));
    if (found == 0) return {{}, {}, "no UPnP gateway answers"};
    const std::string control = urls.controlURL == nullptr ? "" : urls.controlURL;
    ::FreeUPNPUrls(&urls);
    if (found != 1) return {{}, {}, "the UPnP gateway is not connected"};
    const std::string service = data.first.servicetype;
    std::array<char, text_bytes> external{};
    if (::UPNP_GetExternalIPAddress(control.c_str(), service.c_str(), external.data()) != 0)
        return {{}, {}, "the UPnP gateway does not say its address"};
    const std::string port = std::to_string(port_);
    const std::string lease = std::to_string(lease_seconds);
    for (const char* const protocol : {"TCP", "UDP"}) {
        const int code =
            ::UPNP_AddPortMapping(control.c_str(), service.c_str(), port.c_str(), port.c_str(),
                                  own.data(), description, protocol, nullptr, lease.c_str());
        if (code == 0) continue;
        if (std::string_view(protocol) == "UDP")
            (void)::UPNP_DeletePortMapping(control.c_str(), service.c_str(), port.c_str(), "TCP",
                                           nullptr);
        const char* const why = ::strupnperror(code);
        return {{}, {}, fmt::format("the UPnP gateway refuses ({})", why == nullptr ? "?" : why)};
    }
    const auto outside =
        core::Endpoint::parse(fmt::format("{}:{}", std::string(external.data()), port_));
    if (!outside) return {{}, {}, "the UPnP gateway has no address"};
    control_url_ = control;
    service_ = service;
    return {"upnp", *outside, {}};
}

void PortMapper::unmap() {
    if (!mapped_.external) return;
    if (mapped_.method == "upnp") {
        const std::string port = std::to_string(mapped_.external->port);
        for (const char* const protocol : {"TCP", "UDP"})
            (void)::UPNP_DeletePortMapping(control_url_.c_str(), service_.c_str(), port.c_str(),
                                           protocol, nullptr);
        return;
    }
    const auto gateway = default_gateway();
    if (!gateway) return;
    NatPmp natpmp(*gateway);
    // The event that ends other waits is set by now.
    for (const int protocol : {NATPMP_PROTOCOL_TCP, NATPMP_PROTOCOL_UDP})
        (void)natpmp.map(protocol, port_, 0, 0, -1);
}

}  // namespace flow29::net
