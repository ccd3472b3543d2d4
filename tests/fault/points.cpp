// SPDX-License-Identifier: GPL-3.0-or-later
#include "points.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace flow29::fault {

namespace {

Control* control = nullptr;
Unsynced* unsynced = nullptr;  // if that is kept account of

bool cuts_power(Kind kind) {
    return kind == Kind::power_cut || kind == Kind::power_cut_some;
}

__attribute__((constructor)) void use_named_control() {
    const char* const name = std::getenv("FLOW29_FAULT_CONTROL");
    if (name == nullptr || control != nullptr) return;
    const auto fd = static_cast<int>(pass(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0));
    if (fd < 0) return;
    void* const memory =
        ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pass(SYS_close, fd);
    if (memory != MAP_FAILED) control = static_cast<Control*>(memory);
}

}  // namespace

bool is_ruled() {
    return control != nullptr;
}

void path_of(int fd, Path& path) {
    char link[64];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const long got = pass(SYS_readlinkat, AT_FDCWD, link, path.text, sizeof path.text - 1);
    path.text[got > 0 ? got : 0] = '\0';
}

void path_of(int directory, const char* name, Path& path) {
    if (name == nullptr) return;
    if (name[0] == '/') {
        std::snprintf(path.text, sizeof path.text, "%s", name);
        return;
    }
    if (directory == AT_FDCWD) {
        if (pass(SYS_getcwd, path.text, static_cast<unsigned long>(PATH_MAX)) <= 0) return;
    } else {
        path_of(directory, path);
    }
    const auto used = std::strlen(path.text);
    std::snprintf(path.text + used, sizeof path.text - used, "/%s", name);
}

bool is_tracked(const Path& path) {
    return control != nullptr && control->armed != 0 &&
           cuts_power(static_cast<Kind>(control->kind)) &&
           std::strncmp(path.text, control->under.data(), std::strlen(control->under.data())) == 0;
}

Unsynced& account() {
    if (unsynced == nullptr) unsynced = new Unsynced;
    return *unsynced;
}

void die() {
    pass(SYS_kill, pass(SYS_getpid), SIGKILL);
    for (;;)
        pass(SYS_pause);
}

Kind decide(Op op, const char* name, const Path& path) {
    if (control == nullptr || control->armed == 0) return Kind::none;
    if (std::strncmp(path.text, control->under.data(), std::strlen(control->under.data())) != 0)
        return Kind::none;
    const std::uint64_t number = control->points.fetch_add(1);
    if (number < Control::ops_max) control->ops[number] = op;
    const auto kind = static_cast<Kind>(control->kind);
    const bool is_hit = number == control->at || (control->sticky != 0 && number > control->at);
    if (!is_hit || !applies(kind, op)) return Kind::none;
    if (control->hits.fetch_add(1) == 0)
        std::snprintf(control->where.data(), control->where.size(), "%s %.400s", name,
                      path.text + std::strlen(control->under.data()));
    if (cuts_power(kind)) {
        control->armed = 0;
        if (kind == Kind::power_cut)
            account().undo();
        else
            account().undo_some(number);
        die();
    }
    if (kind == Kind::kill) die();
    return kind;
}

}  // namespace flow29::fault

extern "C" void flow29_fault_use(flow29::fault::Control* chosen) {
    flow29::fault::control = chosen;
}
