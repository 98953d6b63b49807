#include "workload/stamp.h"

#include <gtest/gtest.h>

#include <string>

#include "workload/test_data.h"

namespace tidemark::workload {
namespace {

using test::repeated_digest;
using test::stamp_of;

const std::string kA1 = "@" + repeated_digest("a1").str();
const std::string kB2 = "@" + repeated_digest("b2").str();

TEST(Stamp, IsTheNormalisedReferenceAndTheDigest) {
  EXPECT_EQ(stamp_of("nginx", "a1").str(), "docker.io/library/nginx:latest" + kA1);
  EXPECT_EQ(stamp_of("nginx:1.27" + kB2, "a1").str(), "docker.io/library/nginx:1.27" + kA1)
      << "a digest in the reference is ignored";
  EXPECT_EQ(stamp_of("host:5000/a/b:c", "a1").reference(), "host:5000/a/b:c");
  EXPECT_EQ(stamp_of("nginx", "a1").digest(), repeated_digest("a1"));
}

TEST(Stamp, ReadsBackWhatItWrote) {
  for (const std::string_view image :
       {"nginx", "nginx:1.27", "host:5000/a/b:c", "[2001:db8::1]:5000/x:y", "ghcr.io/a/b:v1"}) {
    const Stamp stamp = stamp_of(image, "a1");
    const auto parsed = Stamp::parse(stamp.str());
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, stamp);
  }
}

TEST(Stamp, RefusesEveryOtherForm) {
  for (const std::string& text :
       {std::string(), std::string("nginx"), "nginx:1.27" + kA1, "library/nginx:1.27" + kA1,
        "docker.io/nginx:1.27" + kA1, "index.docker.io/library/nginx:1.27" + kA1,
        "docker.io/library/nginx" + kA1, std::string("docker.io/library/nginx:1.27"),
        " docker.io/library/nginx:1.27" + kA1, "docker.io/library/nginx:1.27" + kA1 + "\n",
        "docker.io/library/nginx:1.27" + kA1.substr(0, 50), std::string(100'000, 'a')}) {
    const auto parsed = Stamp::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_LT(parsed.error().message.size(), 400U);
  }
}

TEST(Stamp, KnowsItsReference) {
  const Stamp stamp = stamp_of("nginx:1.27", "a1");
  const auto is_for = [&](const std::string& image) {
    return stamp.is_for(*image::Reference::parse(image));
  };
  EXPECT_TRUE(is_for("docker.io/nginx:1.27"));
  EXPECT_TRUE(is_for("nginx:1.27" + kB2));
  EXPECT_FALSE(is_for("nginx"));
  EXPECT_FALSE(is_for("nginx:1.28"));
  EXPECT_FALSE(is_for("ghcr.io/library/nginx:1.27"));
  EXPECT_FALSE(is_for("nginx" + kA1)) << "no tag";
}

TEST(Stamp, ReadsTheWellFormedOnesOfATemplate) {
  const auto stamps =
      read_stamps({{"digest.tidemark.dev/app", stamp_of("app:1", "a1").str()},
                   {"digest.tidemark.dev/bad", "app:1"},
                   {"digest.tidemark.dev/empty", ""},
                   {"other.dev/app", stamp_of("app:1", "a1").str()},
                   {"volume-digest.tidemark.dev/app", stamp_of("v:2", "b2").str()}});
  ASSERT_EQ(stamps.size(), 2U);
  EXPECT_EQ(stamps.at("digest.tidemark.dev/app"), stamp_of("app:1", "a1"));
  EXPECT_EQ(stamps.at("volume-digest.tidemark.dev/app"), stamp_of("v:2", "b2"));
}

TEST(Pin, KeepsTheWrittenForm) {
  const auto digest = repeated_digest("a1");
  EXPECT_EQ(pinned_image("nginx:1.27", digest), "nginx:1.27" + kA1);
  EXPECT_EQ(pinned_image("nginx", digest), "nginx:latest" + kA1);
  EXPECT_EQ(pinned_image("host:5000/app", digest), "host:5000/app:latest" + kA1);
  EXPECT_EQ(pinned_image("host:5000/app:2", digest), "host:5000/app:2" + kA1);
  EXPECT_EQ(pinned_image("[::1]:5000/app", digest), "[::1]:5000/app:latest" + kA1);
  EXPECT_EQ(pinned_image("nginx:1.27" + kB2, digest), "nginx:1.27" + kA1);
}

TEST(Pin, IsTakenBackOnlyWhereItIsOurs) {
  const Stamp old = stamp_of("nginx:1.27", "a1");
  EXPECT_EQ(unpinned_image("nginx:1.27" + kA1, old), "nginx:1.27");
  EXPECT_EQ(unpinned_image("docker.io/library/nginx:1.27" + kA1, old),
            "docker.io/library/nginx:1.27");
  EXPECT_EQ(unpinned_image("nginx:1.27", old), std::nullopt) << "no pin";
  EXPECT_EQ(unpinned_image("nginx:1.27" + kB2, old), std::nullopt) << "another digest";
  EXPECT_EQ(unpinned_image("nginx:1.28" + kA1, old), std::nullopt) << "another tag";
  EXPECT_EQ(unpinned_image("nginx" + kA1, old), std::nullopt) << "a digest of the owner's";
  EXPECT_EQ(unpinned_image("Nginx::" + kA1, old), std::nullopt);
  EXPECT_EQ(unpinned_image("", old), std::nullopt);
  for (const std::string_view written : {"nginx:1.27", "docker.io/nginx:1.27"}) {
    EXPECT_EQ(unpinned_image(pinned_image(written, old.digest()), old), written);
  }
}

}  // namespace
}  // namespace tidemark::workload
