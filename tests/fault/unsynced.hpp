// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace flow29::fault {

/// What a power cut would undo: the content of each file since it was last synced, and the names
/// made, moved and removed in each directory since that was. Stricter than any file system that we
/// know, where a file's sync keeps its name as well. One thread at a time; paths are absolute.
class Unsynced {
  public:
    /// Before a file's content or length is changed.
    void on_change(int fd);
    void on_change(const std::string& path);
    /// Once the name is there, which was not before.
    void on_made(const std::string& path);
    /// Before a name is given to something else or removed: what it names.
    [[nodiscard]] int keep(const std::string& path);
    /// Once it is removed; `kept` is what `keep` gave for it.
    void on_removed(const std::string& path, int kept);
    /// Once it is moved; `kept`, what `to` named before. `exchanged`: it goes by the other name
    /// now.
    void on_moved(const std::string& from, const std::string& to, int kept, bool exchanged);
    /// Once a file or directory is synced.
    void on_synced(int fd, const std::string& path);
    void on_all_synced();

    /// Undoes all of it, or, by the toss of a coin, the content of some files and some of the last
    /// names: what was written in the background may be there or not.
    void undo();
    void undo_some(std::uint64_t seed);

  private:
    struct Content {
        int fd;
        std::string bytes;
    };
    struct Name {
        enum class Change : std::uint8_t { made, removed, moved, exchanged } change;
        std::string path;  // where it is, or was
        std::string from;  // of what was moved
        int kept;          // what the name was before; -1: nothing
    };
    using Inode = std::pair<std::uint64_t, std::uint64_t>;

    static void restore(const Content& content);
    static void undo(const Name& name);

    std::map<Inode, Content> contents_;
    std::vector<Name> names_;  // in the order of their changes
};

}  // namespace flow29::fault
