#include "gitops/ssh_signature.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::gitops {
namespace {

// Made for this test by `ssh-keygen -t ed25519`, and used nowhere else.
constexpr const char* kKey = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDhnts1MvKr7DuSjh7AS3mCRhg1WpjsaUppjSU3BCjWNAAAAIg6ToqcOk6K
nAAAAAtzc2gtZWQyNTUxOQAAACDhnts1MvKr7DuSjh7AS3mCRhg1WpjsaUppjSU3BCjWNA
AAAEDfgGZ+HCRoJX7XhjJkGbtEbGoxn2qsL5kzSbtTKhAj1eGe2zUy8qvsO5KOHsBLeYJG
GDVamOxpSmmNJTcEKNY0AAAABHRlc3QB
-----END OPENSSH PRIVATE KEY-----
)";
constexpr const char* kWithPassphrase = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABClvkvwIz
2K3kNGZK3VUkRbAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIPC1KexfuR6CZkDw
NUpBFFa70e9hhSFcU9oV7KXd1auDAAAAkGs8w5rgxvy6ymhbwK2qcsf8z5Tl0H2oK7cCCS
JR8sjmThTrd57A6k8hoiG2SPWQdKf/UJYrblLQQahJcpeOmj/K9EaFXbLHr2ru+iHLZ2NI
sXL+6lxBNfLUOlS2N8/RQGN8ESyO4AG83/wnl07ovGEgDYSdn37dIUJcHTcy3tpTMA9pKs
EVYvTXiZO+Mfg0gw==
-----END OPENSSH PRIVATE KEY-----
)";
constexpr const char* kEcdsa = R"(-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSBS/urRlZPzYOb0CqcmX89WxEr4/nQ
AjxIQ2zt/LwscAaTnjAHQtMKCWOp2rMQZIrMAgE4qYFMn2WXN8sM+Jh0AAAAoHMOg1FzDo
NRAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIFL+6tGVk/Ng5vQ
KpyZfz1bESvj+dACPEhDbO38vCxwBpOeMAdC0woJY6nasxBkiswCATipgUyfZZc3ywz4mH
QAAAAhAM5UaQAD0qbeoBSsJEH5sGDX6rY948Jox/s8+157rZ/zAAAABHRlc3QBAgM=
-----END OPENSSH PRIVATE KEY-----
)";
// `ssh-keygen -Y sign -n git` of "tree x\n" with the first: an Ed25519 signature is always the
// same.
constexpr const char* kSignature = R"(-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg4Z7bNTLyq+w7ko4ewEt5gkYYNV
qY7GlKaY0lNwQo1jQAAAADZ2l0AAAAAAAAAAZzaGE1MTIAAABTAAAAC3NzaC1lZDI1NTE5
AAAAQLU+uzW7w7oxUnvoyOLV9Nx0ygVJTu/LbIHsgUuR4Qip0wtSK9N+s/83A3Vp+FJlJS
E99k+x+5fRSpqon4dzjQk=
-----END SSH SIGNATURE-----)";

TEST(SshSignature, IsWhatSshKeygenMakes) {
  const auto key = SshSigningKey::parse(kKey);
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->sign("tree x\n").value(), kSignature);
  EXPECT_NE(key->sign("tree y\n").value(), kSignature);
}

TEST(SshSignature, OtherKeysAreRefusedWithoutBeingShown) {
  const auto problem = [](const std::string& file) {
    const auto key = SshSigningKey::parse(file);
    EXPECT_FALSE(key);
    return key ? "" : key.error().message;
  };
  EXPECT_NE(problem(kWithPassphrase).find("passphrase"), std::string::npos);
  EXPECT_NE(problem(kEcdsa).find("no Ed25519 key"), std::string::npos);
  EXPECT_NE(problem("-----BEGIN PGP PRIVATE KEY BLOCK-----").find("OpenSSH's format"),
            std::string::npos);
  // However it is cut short, it is refused and nothing is read behind its end.
  const std::string whole(kKey);
  const std::string end = "-----END OPENSSH PRIVATE KEY-----";
  for (std::size_t size = 40; size + 60 < whole.size(); size += 4) {
    const auto key = SshSigningKey::parse(whole.substr(0, size) + "\n" + end);
    EXPECT_TRUE(key || key.error().kind == ErrorKind::kInvalid);
  }
}

}  // namespace
}  // namespace tidemark::gitops
