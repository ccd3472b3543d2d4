// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <deque>

#include <flow29/limits.hpp>

#include "api/folder_channel.hpp"
#include "api/folder_packet.hpp"
#include "api/unix_message.hpp"

#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;

/// What may come with a packet.
enum class Beside { nothing, file, directory, pipe, two_files };

/// Descriptors of each kind, open for as long as the process runs.
class Samples {
  public:
    Samples() {
        const auto path = place_.path() / "file";
        fuzz::write_file(path, Bytes{1});
        file_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        directory_.reset(::open(place_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        std::array<int, 2> ends{};
        FLOW29_ASSERT(::pipe2(ends.data(), O_CLOEXEC) == 0);
        pipe_.reset(ends[0]);
        other_end_.reset(ends[1]);
    }
    [[nodiscard]] std::vector<int> of(Beside beside) const {
        switch (beside) {
            case Beside::nothing:
                return {};
            case Beside::file:
                return {file_.get()};
            case Beside::directory:
                return {directory_.get()};
            case Beside::pipe:
                return {pipe_.get()};
            case Beside::two_files:
                return {file_.get(), pipe_.get()};
        }
        return {};
    }

  private:
    fuzz::Place place_;
    api::UniqueFd file_, directory_, pipe_, other_end_;
};
const Samples& samples() {
    static const Samples all;
    return all;
}

struct Said {
    std::string octets;
    Beside beside = Beside::nothing;
};

/// An entry of a list or of a look.
struct Entry {
    std::string name;
    struct stat facts {};
};

std::string an_entry(fuzz::Input& input) {
    std::string packet;
    api::FolderEntryHead head;
    head.facts.st_size = static_cast<off_t>(input.octet());
    const auto name = input.text(limits::path_component_bytes_max + 2);
    head.name_bytes = static_cast<std::uint32_t>(name.size());
    if (input.number(15) == 1) head.name_bytes = static_cast<std::uint32_t>(input.number(~0U));
    api::append(packet, head);
    return packet + name;
}

std::string a_packet(fuzz::Input& input) {
    const auto kind = input.number(7);
    if (kind == 0) return input.text(100);
    if (kind == 1) return std::string(limits::folder_packet_bytes_max + input.number(1), '\0');
    api::FolderAnswer head;
    if (input.number(3) == 1) head.code = static_cast<std::int32_t>(input.number(~0U));
    head.value = static_cast<std::uint32_t>(input.number(~0U));
    head.more = input.number(3) == 1 ? 1 : 0;
    std::string packet;
    api::append(packet, head);
    for (auto left = input.number(3); left > 0; --left)
        packet += an_entry(input);
    if (kind == 2) packet += input.text(20);
    return packet;
}

/// What the answers amount to, worked out without the functions that are tried.
class Model {
  public:
    void say(Said said) { said_.push_back(std::move(said)); }

    struct Answer {
        Errc code = Errc::ok;
        std::string context;
        std::vector<Entry> entries;
        Beside beside = Beside::nothing;
    };
    Answer next(bool has_entries) {
        Answer answer;
        while (!ended_) {
            if (said_.empty()) break;
            const Said packet = std::move(said_.front());
            said_.pop_front();
            const auto& octets = packet.octets;
            if (octets.size() < head_bytes || octets.size() > limits::folder_packet_bytes_max)
                break;
            if (const auto code = number(octets, 0); code != 0)
                return {static_cast<Errc>(code), octets.substr(head_bytes), {}, {}};
            if (has_entries && !read_entries(octets, answer.entries)) break;
            answer.beside = packet.beside;
            if (number(octets, 8) == 0) return answer;
        }
        ended_ = true;
        return {Errc::interrupted, {}, {}, {}};
    }
    [[nodiscard]] bool has_ended() const { return ended_; }

  private:
    static constexpr std::size_t head_bytes = 12;
    static constexpr std::size_t entry_bytes = sizeof(api::FolderEntryHead);

    static std::uint32_t number(const std::string& octets, std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, octets.data() + at, sizeof value);
        return value;
    }
    static bool read_entries(const std::string& octets, std::vector<Entry>& entries) {
        std::size_t at = head_bytes;
        while (at < octets.size()) {
            if (octets.size() - at < entry_bytes) return false;
            Entry entry;
            std::memcpy(&entry.facts, octets.data() + at, sizeof entry.facts);
            const std::size_t name_bytes =
                number(octets, at + offsetof(api::FolderEntryHead, name_bytes));
            at += entry_bytes;
            if (name_bytes > octets.size() - at || name_bytes > limits::path_component_bytes_max)
                return false;
            entry.name = octets.substr(at, name_bytes);
            at += name_bytes;
            entries.push_back(std::move(entry));
        }
        return true;
    }

    std::deque<Said> said_;
    bool ended_ = false;
};

/// A folder of which the other end says what it likes.
class Liar {
  public:
    Liar(fuzz::Input& input, uid_t own_user) {
        std::array<int, 2> ends{};
        FLOW29_ASSERT(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
        api::UniqueFd here(ends[0]);
        end_.reset(ends[1]);
        FLOW29_ASSERT(::fcntl(end_.get(), F_SETFL, O_NONBLOCK) == 0);
        for (auto left = input.number(5); left > 0; --left) {
            Said said{a_packet(input), static_cast<Beside>(input.number(4))};
            // What no longer fits was not said.
            if (api::send_message(end_.get(), said.octets, samples().of(said.beside)))
                model.say(std::move(said));
        }
        FLOW29_ASSERT(::shutdown(end_.get(), SHUT_WR) == 0);
        auto folders = api::remote_folders(std::move(here), 1, own_user);
        FLOW29_ASSERT(folders && folders->size() == 1);
        folder = std::move(folders->front());
    }
    /// What the node has asked is what it was told to ask; nothing once the channel has ended.
    void check_asked(api::FolderOperation operation, const std::string& path,
                     const std::string& name, bool was_ended) const {
        const auto packet = api::receive_packet(end_.get());
        FLOW29_ASSERT(packet.has_value() == !was_ended);
        if (!packet) return;
        std::string_view octets = packet->octets;
        api::FolderRequest head;
        FLOW29_ASSERT(api::take(octets, head) && head.operation == operation &&
                      head.path_bytes == path.size() && octets == path + name &&
                      !packet->descriptor);
    }

    Model model;
    std::shared_ptr<node::Folder> folder;

  private:
    api::UniqueFd end_;
};

template <class T>
void check_code(const Result<T>& result, const Model::Answer& expected) {
    FLOW29_ASSERT((result ? Errc::ok : result.error().code) == expected.code);
    if (!result && !expected.context.empty())
        FLOW29_ASSERT(result.error().context == expected.context);
}

/// Of `look` and `list`.
void check_entry(const std::string& name, const struct stat& facts, const Entry& expected) {
    FLOW29_ASSERT(name == expected.name);
    FLOW29_ASSERT(std::memcmp(&facts, &expected.facts, sizeof facts) == 0);
}

void check_opened(const Result<api::UniqueFd>& opened, Model::Answer expected, bool is_directory) {
    const bool fits = is_directory
                          ? expected.beside == Beside::directory
                          : expected.beside == Beside::file || expected.beside == Beside::two_files;
    if (expected.code == Errc::ok && !fits) expected.code = Errc::refused;
    check_code(opened, expected);
    FLOW29_ASSERT(!opened || (::fcntl(opened->get(), F_GETFD) & FD_CLOEXEC) != 0);
}

void ask(Liar& liar, fuzz::Input& input, bool is_own_user) {
    using Operation = api::FolderOperation;
    const auto operation = static_cast<Operation>(input.number(7));
    const auto path = input.text(20);
    const bool was_ended = liar.model.has_ended();
    auto asked = operation;
    std::string name;
    auto& folder = *liar.folder;
    switch (operation) {
        case Operation::open: {
            const bool is_directory = input.flag();
            const auto opened = folder.open(path, is_directory ? O_RDONLY | O_DIRECTORY : O_RDONLY);
            check_opened(opened, liar.model.next(false), is_directory);
            break;
        }
        case Operation::enter: {
            auto expected = liar.model.next(false);
            if (is_own_user) {
                asked = Operation::open;
                if (expected.code == Errc::ok && expected.beside != Beside::directory)
                    expected.code = Errc::refused;
            }
            check_code(folder.enter(path), expected);
            break;
        }
        case Operation::look: {
            const auto found = folder.look(path);
            const auto expected = liar.model.next(true);
            check_code(found, expected);
            if (!found) break;
            FLOW29_ASSERT(found->has_value() == !expected.entries.empty());
            if (*found) check_entry(expected.entries[0].name, **found, expected.entries[0]);
            break;
        }
        case Operation::list: {
            const auto entries = folder.list(path);
            const auto expected = liar.model.next(true);
            check_code(entries, expected);
            if (!entries) break;
            FLOW29_ASSERT(entries->size() == expected.entries.size());
            for (std::size_t i = 0; i < entries->size(); ++i)
                check_entry((*entries)[i].name, (*entries)[i].facts, expected.entries[i]);
            break;
        }
        case Operation::make:
            check_code(folder.make_directories(path), liar.model.next(false));
            break;
        case Operation::remove:
            check_code(folder.remove(path), liar.model.next(false));
            break;
        case Operation::move:
            name = input.text(20);
            check_code(folder.move(path, name, node::Replacing::swap), liar.model.next(false));
            break;
        case Operation::sync:
            check_code(folder.sync(), liar.model.next(false));
            break;
    }
    liar.check_asked(asked, operation == Operation::sync ? std::string() : path, name, was_ended);
}

/// The number that the next descriptor will have: it tells whether one was left open.
int next_descriptor() {
    return api::UniqueFd(::fcntl(samples().of(Beside::file).front(), F_DUPFD_CLOEXEC, 0)).get();
}

}  // namespace

/// What whoever opens files for a node answers: what the node makes of it is what a model makes of
/// it, what makes no sense ends the channel for good, and no descriptor stays open.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const int before = next_descriptor();
    {
        fuzz::Input input(data, size);
        const bool is_own_user = input.flag();
        Liar liar(input, is_own_user ? ::geteuid() : ::geteuid() + 1);
        constexpr unsigned asked_max = 8;
        for (unsigned asked = 0; asked < asked_max; ++asked)
            ask(liar, input, is_own_user);
    }
    FLOW29_ASSERT(next_descriptor() == before);
    return 0;
}
