// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/identity.hpp"
#include "core/kdf.hpp"

#include "core/assert.hpp"
#include "core/hash.hpp"
#include "core/small_file.hpp"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace flow29::core {
namespace {

/// SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING } up to the key itself (RFC 8410 §4).
constexpr std::array<std::uint8_t, 12> spki_prefix{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                   0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct PrivateKeyDeleter {
    void operator()(gnutls_privkey_t key) const { gnutls_privkey_deinit(key); }
};
struct PublicKeyDeleter {
    void operator()(gnutls_pubkey_t key) const { gnutls_pubkey_deinit(key); }
};
struct X509KeyDeleter {
    void operator()(gnutls_x509_privkey_t key) const { gnutls_x509_privkey_deinit(key); }
};
using PrivateKeyHandle = std::unique_ptr<gnutls_privkey_st, PrivateKeyDeleter>;
using PublicKeyHandle = std::unique_ptr<gnutls_pubkey_st, PublicKeyDeleter>;
using X509KeyHandle = std::unique_ptr<gnutls_x509_privkey_int, X509KeyDeleter>;

/// Octets that GnuTLS allocated.
class OwnedDatum {
  public:
    OwnedDatum() = default;
    ~OwnedDatum() { gnutls_free(datum_.data); }
    OwnedDatum(const OwnedDatum&) = delete;
    OwnedDatum& operator=(const OwnedDatum&) = delete;

    gnutls_datum_t* out() { return &datum_; }
    [[nodiscard]] ByteView view() const { return {datum_.data, datum_.size}; }
    [[nodiscard]] std::string text() const {
        return {reinterpret_cast<const char*>(datum_.data), datum_.size};
    }

  private:
    gnutls_datum_t datum_{};
};

/// GnuTLS takes input through pointers to non-const and does not write to it.
gnutls_datum_t borrow(ByteView view) {
    return {const_cast<unsigned char*>(view.data()), static_cast<unsigned>(view.size())};
}

/// For calls that fail only when memory or the library itself is broken.
void require_success(int status) {
    FLOW29_ASSERT(status >= 0);
}

PublicKeyHandle public_handle(gnutls_privkey_t key) {
    gnutls_pubkey_t handle = nullptr;
    require_success(gnutls_pubkey_init(&handle));
    PublicKeyHandle owner(handle);
    require_success(gnutls_pubkey_import_privkey(handle, key, 0, 0));
    return owner;
}

PrivateKeyHandle new_private_handle() {
    gnutls_privkey_t handle = nullptr;
    require_success(gnutls_privkey_init(&handle));
    return PrivateKeyHandle(handle);
}

}  // namespace

NodeId node_id_of(const PublicKey& key) {
    return NodeId{sha256({spki_prefix, key.view()})};
}

std::optional<PublicKey> public_key_from_spki(ByteView spki) {
    if (spki.size() != spki_prefix.size() + PublicKey::size) return std::nullopt;
    if (!std::ranges::equal(spki.first<spki_prefix.size()>(), spki_prefix)) return std::nullopt;
    return PublicKey::from(spki.subspan(spki_prefix.size()));
}

bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature) {
    gnutls_pubkey_t handle = nullptr;
    require_success(gnutls_pubkey_init(&handle));
    const PublicKeyHandle owner(handle);
    const gnutls_datum_t x = borrow(key.view());
    if (gnutls_pubkey_import_ecc_raw(handle, GNUTLS_ECC_CURVE_ED25519, &x, nullptr) < 0)
        return false;
    const gnutls_datum_t data = borrow(message);
    const gnutls_datum_t made = borrow(signature.view());
    return gnutls_pubkey_verify_data2(handle, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &made) >= 0;
}

struct Identity::State {
    PrivateKeyHandle key;
    PublicKey public_key;
    NodeId id;

    explicit State(PrivateKeyHandle handle) : key(std::move(handle)) {
        OwnedDatum spki;
        const PublicKeyHandle handle_of_public = public_handle(key.get());
        require_success(
            gnutls_pubkey_export2(handle_of_public.get(), GNUTLS_X509_FMT_DER, spki.out()));
        const auto raw = public_key_from_spki(spki.view());
        FLOW29_ASSERT(raw.has_value());
        public_key = *raw;
        id = node_id_of(public_key);
    }
};

Identity::Identity(std::unique_ptr<State> state) : state_(std::move(state)) {}
Identity::~Identity() = default;
Identity::Identity(Identity&&) noexcept = default;
Identity& Identity::operator=(Identity&&) noexcept = default;

Result<Identity> Identity::generate() {
    PrivateKeyHandle key = new_private_handle();
    const int status =
        gnutls_privkey_generate2(key.get(), GNUTLS_PK_EDDSA_ED25519, 0, 0, nullptr, 0);
    if (status < 0)
        return fail(Errc::other, std::string("generating a key: ") + gnutls_strerror(status));
    return Identity(std::make_unique<State>(std::move(key)));
}

Result<Identity> Identity::from_pem(std::string_view pem) {
    if (pem.size() > small_file_bytes_max) return fail(Errc::usage, "too long to be a private key");
    const gnutls_datum_t text =
        borrow({reinterpret_cast<const std::uint8_t*>(pem.data()), pem.size()});
    gnutls_x509_privkey_t parsed = nullptr;
    require_success(gnutls_x509_privkey_init(&parsed));
    const X509KeyHandle owner(parsed);
    // Not gnutls_privkey_import_x509_raw: that tries other formats as well, among them OpenSSL's,
    // and reads past the end of the text there (GnuTLS 3.7.9).
    int status = gnutls_x509_privkey_import_pkcs8(parsed, &text, GNUTLS_X509_FMT_PEM, nullptr,
                                                  GNUTLS_PKCS_PLAIN);
    PrivateKeyHandle key = new_private_handle();
    if (status >= 0)
        status = gnutls_privkey_import_x509(key.get(), parsed, GNUTLS_PRIVKEY_IMPORT_COPY);
    if (status < 0)
        return fail(Errc::usage,
                    std::string("not a plain PEM private key: ") + gnutls_strerror(status));
    const int algorithm = gnutls_privkey_get_pk_algorithm(key.get(), nullptr);
    if (algorithm != GNUTLS_PK_EDDSA_ED25519) {
        const char* name = gnutls_pk_get_name(static_cast<gnutls_pk_algorithm_t>(algorithm));
        return fail(Errc::usage, std::string("the private key is ") +
                                     (name == nullptr ? "unknown" : name) + ", not Ed25519");
    }
    return Identity(std::make_unique<State>(std::move(key)));
}

Result<Identity> Identity::load_or_create(const std::filesystem::path& file) {
    const auto existing = read_small_file(file);
    if (!existing) return fail(existing.error());
    if (*existing) {
        auto identity = from_pem((*existing)->text);
        if (!identity)
            return fail(Errc::file_error, file.string() + ": " + identity.error().context +
                                              "; put the node's key back, or move this file away "
                                              "to become a new node");
        return identity;
    }

    auto identity = generate();
    if (!identity) return identity;
    const auto written = write_small_file(file, identity->private_pem());
    if (!written) return fail(written.error());
    return identity;
}

const PublicKey& Identity::public_key() const {
    return state_->public_key;
}

const NodeId& Identity::id() const {
    return state_->id;
}

Signature Identity::sign(ByteView message) const {
    OwnedDatum made;
    const gnutls_datum_t data = borrow(message);
    require_success(gnutls_privkey_sign_data2(state_->key.get(), GNUTLS_SIGN_EDDSA_ED25519, 0,
                                              &data, made.out()));
    const auto signature = Signature::from(made.view());
    FLOW29_ASSERT(signature.has_value());
    return *signature;
}

std::array<std::uint8_t, 32> Identity::derive_secret(std::string_view purpose) const {
    OwnedDatum seed;
    gnutls_ecc_curve_t curve{};
    require_success(
        gnutls_privkey_export_ecc_raw2(state_->key.get(), &curve, nullptr, nullptr, seed.out(), 0));
    const ByteView info{reinterpret_cast<const std::uint8_t*>(purpose.data()), purpose.size()};
    std::array<std::uint8_t, 32> secret{};
    std::ranges::copy(hkdf_sha256({}, seed.view(), info, secret.size()), secret.begin());
    return secret;
}

std::string Identity::private_pem() const {
    gnutls_x509_privkey_t handle = nullptr;
    require_success(gnutls_privkey_export_x509(state_->key.get(), &handle));
    const X509KeyHandle owner(handle);
    OwnedDatum pem;
    require_success(gnutls_x509_privkey_export2_pkcs8(handle, GNUTLS_X509_FMT_PEM, nullptr,
                                                      GNUTLS_PKCS_PLAIN, pem.out()));
    return pem.text();
}

std::string Identity::public_pem() const {
    OwnedDatum pem;
    const PublicKeyHandle handle = public_handle(state_->key.get());
    require_success(gnutls_pubkey_export2(handle.get(), GNUTLS_X509_FMT_PEM, pem.out()));
    return pem.text();
}

void random_bytes(std::span<std::uint8_t> out) {
    while (!out.empty()) {
        const ssize_t got = ::getrandom(out.data(), out.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        FLOW29_ASSERT(got > 0);  // the kernel has had a generator since 3.17
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

}  // namespace flow29::core
