// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <flow29/limits.hpp>

#include "core/manifest.hpp"
#include "core/printable.hpp"
#include "node/beneath.hpp"

#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;
namespace fs = std::filesystem;

/// A directory with links that lead out of it, and what is outside. Made anew when a path changed
/// it.
class Playground {
  public:
    Playground() { fill(); }
    ~Playground() { ::close(inside_); }
    Playground(const Playground&) = delete;
    Playground& operator=(const Playground&) = delete;

    [[nodiscard]] int inside() const { return inside_; }
    void fill() {
        if (inside_ >= 0) ::close(inside_);
        fs::remove_all(above_);
        fs::create_directories(above_ / "inside/a/b");
        std::ofstream(above_ / "inside/a/f") << "1";
        fs::create_directories(above_ / "outside/d");
        std::ofstream(above_ / "outside/secret") << "1";
        fs::create_directory_symlink("../outside", above_ / "inside/out");
        fs::create_directory_symlink(above_ / "outside", above_ / "inside/a/root");
        fs::create_symlink("../../outside/secret", above_ / "inside/a/s");
        fs::create_symlink("b", above_ / "inside/a/l");
        inside_ = ::open((above_ / "inside").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        FLOW29_ASSERT(inside_ >= 0);
    }
    [[nodiscard]] bool is_inside(int fd) const {
        std::array<char, PATH_MAX> target{};
        const auto link = "/proc/self/fd/" + std::to_string(fd);
        const auto size = ::readlink(link.c_str(), target.data(), target.size());
        FLOW29_ASSERT(size > 0);
        const std::string place(target.data(), static_cast<std::size_t>(size));
        const auto inside = (above_ / "inside").string();
        return place == inside || place.starts_with(inside + "/");
    }
    /// Nothing outside came, went or grew.
    void check_outside() const {
        FLOW29_ASSERT(fs::exists(above_ / "outside/d"));
        FLOW29_ASSERT(fs::file_size(above_ / "outside/secret") == 1);
        const auto entries = std::distance(fs::directory_iterator(above_ / "outside"), {});
        FLOW29_ASSERT(entries == 2 && fs::is_empty(above_ / "outside/d"));
        FLOW29_ASSERT(std::distance(fs::directory_iterator(above_), {}) == 2);
    }

  private:
    fuzz::Place place_;
    fs::path above_ = place_.path();
    int inside_ = -1;
};

/// The rules again, in the slowest way.
bool is_safe(const std::string& path) {
    if (path.empty() || path.size() > limits::path_bytes_max) return false;
    for (const unsigned char c : path)
        if (c < 0x20 || c == 0x7f || c == '\\') return false;
    std::string part;
    for (const char c : path + "/") {
        if (c != '/') {
            part += c;
            continue;
        }
        if (part.empty() || part == "." || part == "..") return false;
        if (part.size() > limits::path_component_bytes_max) return false;
        part.clear();
    }
    return true;
}

/// Whether a path could lead out of the whole playground if nothing held it back. Such a one is
/// only opened to read: a fault found must not cost whoever looks for it his files.
bool is_dangerous(std::string_view path) {
    const auto up = path.find("..");
    return path.starts_with('/') ||
           (up != std::string_view::npos && path.find("..", up + 1) != std::string_view::npos);
}

}  // namespace

/// Paths in foreign directories: the rules let through what they say, and whatever the path and
/// the links in its way, nothing outside the directory is opened, made or deleted.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Playground playground;
    fuzz::Input input(data, size);
    const auto choice = input.octet();
    const auto rest = input.rest();
    const std::string path(rest.begin(), rest.end());
    const bool safe = core::check_path(path).has_value();
    FLOW29_ASSERT(safe == is_safe(path));
    if (safe) FLOW29_ASSERT(fs::path(path).lexically_normal().string() == path);
    const auto shown = core::printable(path);
    for (const unsigned char c : shown)
        FLOW29_ASSERT(c >= 0x20 && c != 0x7f);

    const int directory = playground.inside();
    // Few do: making the playground anew takes its time.
    const bool changes = choice % 4 == 3 && !is_dangerous(path);
    const int flags = changes && choice < 128 ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY;
    if (const auto opened = node::open_beneath(directory, path, flags, 0600))
        FLOW29_ASSERT(playground.is_inside(opened->get()));
    if (!changes) return 0;
    if (choice % 8 == 7) static_cast<void>(node::make_directories_beneath(directory, path));
    if (choice % 16 >= 8) static_cast<void>(node::remove_beneath(directory, path));
    playground.check_outside();
    playground.fill();
    return 0;
}
