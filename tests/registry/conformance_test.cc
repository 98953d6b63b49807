// The client beside the OCI distribution specification, v1.1: a scripted registry on a loopback
// port, the whole stack in front of it. Each test names the section whose rule it shows.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "net/server.h"
#include "registry/encoding.h"
#include "registry/stack.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::seconds;
using testing::fake_digest;

const std::string kIndexType = "application/vnd.oci.image.index.v1+json";
const std::string kManifestType = "application/vnd.oci.image.manifest.v1+json";
const std::string kIndex =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})";
const std::string kIndexDigest = "sha256:" + sha256_hex(kIndex);

class ConformanceTest : public ::testing::Test {
 protected:
  using Answer = std::function<net::Response(const net::ServerRequest&)>;

  ConformanceTest() {
    server_ =
        net::Server::start(
            {.listen = "127.0.0.1:0"},
            [this](const net::ServerRequest& request) {
              {
                const std::lock_guard lock(mutex_);
                asked_.push_back(std::string(request.method) + " " + std::string(request.path));
                if (!request.query.empty()) asked_.back() += "?" + std::string(request.query);
                last_ = request.headers;
              }
              return answer_(request);
            },
            Logger::none())
            .value();
    host_ = "127.0.0.1:" + std::to_string(server_->port());
    ResolverOptions options;
    options.registries = {{.host = host_, .plain_http = true}};
    options.addresses.allow_loopback = true;
    options.user_agent = "tidemark-test/1.0";
    resolver_ = make_resolver(options, clock_, metrics_, Logger::none()).value();
  }

  Result<Resolution> resolve(const std::string& name, std::vector<Credential> credentials = {}) {
    return resolver_->resolve({.reference = image::Reference::parse(host_ + "/" + name).value(),
                               .credentials = std::move(credentials)},
                              Deadline::after(seconds{10}));
  }
  Result<TagList> tags(const std::string& name, std::vector<Credential> credentials = {}) {
    return resolver_->tags({.reference = image::Reference::parse(host_ + "/" + name).value(),
                            .credentials = std::move(credentials)},
                           Deadline::after(seconds{10}));
  }
  static net::Response manifest(const std::string& digest, const std::string& type = kIndexType,
                                std::string body = {}) {
    net::Response response{
        .status = 200, .headers = {{"Content-Type", type}}, .body = std::move(body)};
    if (!digest.empty()) response.headers.push_back({"Docker-Content-Digest", digest});
    return response;
  }
  static net::Response error(int status, const std::string& body) {
    return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = body};
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  std::string header(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const std::string* value = net::find_header(last_, name);
    return value == nullptr ? "" : *value;
  }

  SystemClock clock_;
  Metrics metrics_;
  Answer answer_ = [](const net::ServerRequest&) { return manifest(fake_digest('a').str()); };
  std::mutex mutex_;
  std::vector<std::string> asked_;
  net::Headers last_;  // of the last request
  std::string host_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<Resolver> resolver_;
};

using Asked = std::vector<std::string>;

// "Checking if content exists in the registry": HEAD /v2/<name>/manifests/<reference>.
TEST_F(ConformanceTest, CheckingContent_AHeadOfTheManifestByTag) {
  const auto result = resolve("team/sub/app:1.0_x");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->digest, fake_digest('a'));
  EXPECT_EQ(asked(), Asked{"HEAD /v2/team/sub/app/manifests/1.0_x"});
}

// "Pulling manifests": <reference> is a digest or a tag.
TEST_F(ConformanceTest, PullingManifests_TheReferenceMayBeADigest) {
  answer_ = [](const net::ServerRequest&) { return manifest(fake_digest('b').str()); };
  const std::string digest = fake_digest('b').str();
  const auto result = resolve("app@" + digest);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->digest, fake_digest('b'));
  EXPECT_EQ(asked(), Asked{"HEAD /v2/app/manifests/" + digest});
}

// "Pulling manifests": the client SHOULD include an Accept header of the types that it takes.
TEST_F(ConformanceTest, PullingManifests_AcceptNamesIndexesAndManifests) {
  EXPECT_TRUE(resolve("app:1"));
  const std::string accept = header("Accept");
  for (const std::string& type :
       {kIndexType, kManifestType,
        std::string("application/vnd.docker.distribution.manifest.list.v2+json"),
        std::string("application/vnd.docker.distribution.manifest.v2+json")}) {
    EXPECT_NE(accept.find(type), std::string::npos) << type;
  }
}

// "Pulling manifests": the Docker-Content-Digest header SHOULD be there; where it is not, the
// client digests the body.
TEST_F(ConformanceTest, PullingManifests_WithoutTheDigestHeaderTheBodyIsDigested) {
  answer_ = [](const net::ServerRequest&) { return manifest("", kIndexType, kIndex); };
  const auto result = resolve("app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->digest.str(), kIndexDigest);
  EXPECT_EQ(asked(), (Asked{"HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1"}));
}

// "Pulling manifests": if the header is there, the body MUST have that digest.
TEST_F(ConformanceTest, PullingManifests_ABodyOfAnotherDigestIsRefused) {
  answer_ = [](const net::ServerRequest& request) {
    return request.method == "HEAD" ? manifest("")
                                    : manifest(fake_digest('c').str(), kIndexType, kIndex);
  };
  const auto result = resolve("app:1");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
}

// "Pulling manifests": asked by digest, the answer MUST be of that digest.
TEST_F(ConformanceTest, PullingManifests_AnAnswerOfAnotherDigestThanAskedForIsRefused) {
  const auto result = resolve("app@" + fake_digest('b').str());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
}

// "Digests": algorithm ":" encoded.
TEST_F(ConformanceTest, Digests_AHeaderThatIsNoneIsRefused) {
  for (const std::string& digest :
       {std::string("sha256:abc"), std::string("md5:d41d8cd98f00b204e9800998ecf8427e"),
        std::string("\"quoted\"")}) {
    answer_ = [digest](const net::ServerRequest&) { return manifest(digest); };
    const auto result = resolve("app:" + std::to_string(digest.size()));
    ASSERT_FALSE(result) << digest;
    EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
  }
}

// "Pulling manifests": Content-Type and the document's mediaType; schema 1 is no OCI type.
TEST_F(ConformanceTest, PullingManifests_SchemaOneAndOtherDocumentsAreRefusedWithAReason) {
  answer_ = [](const net::ServerRequest&) {
    return manifest(fake_digest('a').str(), "application/vnd.docker.distribution.manifest.v1+json");
  };
  EXPECT_NE(resolve("app:1").error().message.find("schema 1"), std::string::npos);
  answer_ = [](const net::ServerRequest&) { return manifest("", "text/html", "<html>sign in"); };
  EXPECT_EQ(resolve("app:2").error().kind, ErrorKind::kInvalid);
}

// "Pulling manifests": parameters of the type say nothing else.
TEST_F(ConformanceTest, PullingManifests_ATypeMayHaveParameters) {
  answer_ = [](const net::ServerRequest&) {
    return manifest(fake_digest('a').str(), kManifestType + "; charset=utf-8");
  };
  EXPECT_EQ(resolve("app:1")->media_type, kManifestType);
}

// "Error codes": {"errors": [{"code", "message", "detail"}]}; a 404 of a manifest is
// MANIFEST_UNKNOWN or NAME_UNKNOWN. (An answer to HEAD has no body, so a GET that must be made
// brings the words.)
TEST_F(ConformanceTest, ErrorCodes_ANotFoundIsOneAndItsWordsAreTold) {
  answer_ = [](const net::ServerRequest& request) {
    return request.method == "HEAD"
               ? error(405, "")
               : error(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown",)"
                            R"("detail":{"Tag":"1"}}]})");
  };
  const auto result = resolve("app:1");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(result.error().message.find("MANIFEST_UNKNOWN: manifest unknown"), std::string::npos)
      << result.error().message;
}

TEST_F(ConformanceTest, ErrorCodes_EachStatusIsWhatTheTableSays) {
  const std::vector<std::pair<int, ErrorKind>> table = {
      {404, ErrorKind::kNotFound},   // NAME_UNKNOWN, MANIFEST_UNKNOWN
      {403, ErrorKind::kForbidden},  // DENIED
      {400, ErrorKind::kInvalid},    // NAME_INVALID
      {429, ErrorKind::kTooMany},    // TOOMANYREQUESTS
      {500, ErrorKind::kUnavailable},
  };
  for (const auto& [status, kind] : table) {
    // Each with an account of its own: a 429 concerns one alone.
    const Credential account{.registry_token = "token" + std::to_string(status)};
    answer_ = [code = status](const net::ServerRequest&) { return error(code, "no json"); };
    const auto result = resolve("app:" + std::to_string(status), {account});
    ASSERT_FALSE(result) << status;
    EXPECT_EQ(result.error().kind, kind) << status;
    EXPECT_EQ(result.error().http_status, status);
  }
}

// "Error codes": the body is optional and may be anything; what it says is never trusted.
TEST_F(ConformanceTest, ErrorCodes_ABodyThatIsNoneIsLeftOut) {
  const std::vector<std::string> bodies = {"", "[]", "{\"errors\":7}", "{\"errors\":[7,{}]}",
                                           std::string(1000, '[')};
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    answer_ = [&body = bodies[i]](const net::ServerRequest& request) {
      return request.method == "HEAD" ? error(405, "") : error(404, body);
    };
    EXPECT_EQ(resolve("app:" + std::to_string(i)).error().kind, ErrorKind::kNotFound);
  }
}

// "Determining support" and RFC 9110, 11.6.1: a 401 names its scheme, and is answered once.
TEST_F(ConformanceTest, Authentication_BasicIsSentWhereItIsAskedFor) {
  const std::string wanted = "Basic " + base64_encode("alice:wonder");
  answer_ = [wanted](const net::ServerRequest& request) {
    const std::string* sent = net::find_header(request.headers, "Authorization");
    if (sent != nullptr && *sent == wanted) return manifest(fake_digest('a').str());
    return net::Response{
        .status = 401, .headers = {{"WWW-Authenticate", "Basic realm=\"r\""}}, .body = {}};
  };
  EXPECT_TRUE(resolve("app:1", {{.username = "alice", .password = "wonder"}}));
  EXPECT_EQ(asked(), (Asked{"HEAD /v2/app/manifests/1", "HEAD /v2/app/manifests/1"}));
  const auto refused = resolve("app:2", {{.username = "alice", .password = "wrong"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(refused.error().message.find("wrong"), std::string::npos);
}

// distribution "Token Authentication": realm, service and scope of the challenge lead to a token.
TEST_F(ConformanceTest, Authentication_ATokenIsFetchedForTheScopeThatIsNamed) {
  answer_ = [this](const net::ServerRequest& request) {
    if (request.path.starts_with("/token")) {
      return net::Response{.status = 200, .headers = {}, .body = R"({"access_token":"t1"})"};
    }
    const std::string* sent = net::find_header(request.headers, "Authorization");
    if (sent != nullptr && *sent == "Bearer t1") return manifest(fake_digest('a').str());
    return net::Response{.status = 401,
                         .headers = {{"WWW-Authenticate",
                                      "Bearer realm=\"http://" + host_ +
                                          "/token\",service=\"s\",scope=\"repository:app:pull\""}},
                         .body = {}};
  };
  EXPECT_TRUE(resolve("app:1"));
  EXPECT_TRUE(resolve("app:2"));
  const Asked all = asked();
  ASSERT_EQ(all.size(), 4U) << "one token for both";
  EXPECT_TRUE(all[1].starts_with("GET /token")) << all[1];
}

// RFC 9110, 10.1.5: a client says which it is, and its version.
TEST_F(ConformanceTest, UserAgent_HasTheVersion) {
  EXPECT_TRUE(resolve("app:1"));
  EXPECT_EQ(header("User-Agent"), "tidemark-test/1.0");
}

// "Pulling manifests": an answer is cut at the 4 MiB that a registry must take of a manifest.
TEST_F(ConformanceTest, PullingManifests_ALargerBodyIsRefused) {
  answer_ = [](const net::ServerRequest& request) {
    return request.method == "HEAD"
               ? manifest("")
               : manifest("", kIndexType, std::string(std::size_t{5} * 1024 * 1024, ' '));
  };
  const auto result = resolve("app:1");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kTooLarge);
}

// "Listing Tags": GET /v2/<name>/tags/list, a page at a time, each named by the Link before.
TEST_F(ConformanceTest, ListingTags_FollowsTheLinksToTheEnd) {
  answer_ = [](const net::ServerRequest& request) {
    const bool last = request.query.find("last=b") != std::string_view::npos;
    net::Response page{
        .status = 200,
        .headers = {{"Content-Type", "application/json"}},
        .body = last ? R"({"name":"app","tags":["c"]})" : R"({"name":"app","tags":["a","b"]})"};
    if (!last) page.headers.push_back({"Link", R"(</v2/app/tags/list?n=1000&last=b>; rel="next")"});
    return page;
  };
  const auto list = tags("app:1");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->tags, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(asked(),
            (Asked{"GET /v2/app/tags/list?n=1000", "GET /v2/app/tags/list?n=1000&last=b"}));
}

// "last": where a page is full and names no next one, what comes after its last tag is asked for.
TEST_F(ConformanceTest, ListingTags_AFullPageWithoutALinkIsFollowedByLast) {
  const auto page = [](std::size_t begin, std::size_t end) {
    std::string body;
    for (std::size_t i = begin; i < end; ++i) {
      body += (i == begin ? R"({"tags":[")" : R"(",")") + std::string("t") + std::to_string(i);
    }
    return net::Response{
        .status = 200, .headers = {}, .body = body.empty() ? R"({"tags":[]})" : body + "\"]}"};
  };
  constexpr std::size_t kFirst = 1000;
  std::size_t last = kFirst + 3;
  answer_ = [&](const net::ServerRequest& request) {
    return request.query.ends_with("last=t999") ? page(kFirst, last) : page(0, kFirst);
  };
  EXPECT_EQ(tags("app:1")->tags.size(), last);
  EXPECT_EQ(asked(),
            (Asked{"GET /v2/app/tags/list?n=1000", "GET /v2/app/tags/list?n=1000&last=t999"}));
  last = kFirst;
  EXPECT_EQ(tags("app:1")->tags.size(), kFirst) << "there were no more";
  answer_ = [&](const net::ServerRequest&) { return page(0, kFirst); };
  EXPECT_EQ(tags("app:1")->tags.size(), kFirst) << "a registry that knows no `last`";
  answer_ = [&](const net::ServerRequest&) { return page(0, kFirst + 1); };
  asked();
  EXPECT_EQ(tags("app:1")->tags.size(), kFirst + 1) << "one that gives all at once";
  EXPECT_EQ(asked().size(), 1U);
}

// The Link is this registry's, whatever host a proxy has put into it.
TEST_F(ConformanceTest, ListingTags_ALinkNeverLeadsToAnotherHost) {
  int pages = 0;
  answer_ = [&pages](const net::ServerRequest&) {
    net::Response page{.status = 200, .headers = {}, .body = R"({"tags":["a"]})"};
    if (++pages == 1) {
      page.headers.push_back(
          {"Link", R"(<http://169.254.169.254/v2/app/tags/list?last=a>; rel=next)"});
    }
    return page;
  };
  ASSERT_TRUE(tags("app:1"));
  EXPECT_EQ(asked(), (Asked{"GET /v2/app/tags/list?n=1000", "GET /v2/app/tags/list?last=a"}));
}

// "<list> ... if there are no tags": an empty list, or null as distribution 2 has it.
TEST_F(ConformanceTest, ListingTags_NoTags) {
  for (const char* body : {R"({"name":"app","tags":[]})", R"({"name":"app","tags":null})"}) {
    answer_ = [body](const net::ServerRequest&) {
      return net::Response{.status = 200, .headers = {}, .body = body};
    };
    const auto list = tags("app:1");
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_TRUE(list->tags.empty());
  }
}

// 404: NAME_UNKNOWN.
TEST_F(ConformanceTest, ListingTags_AnUnknownRepository) {
  answer_ = [](const net::ServerRequest&) {
    return error(404,
                 R"({"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]})");
  };
  const auto list = tags("app:1");
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(list.error().message,
            "tags of " + host_ + "/app: not found (404): NAME_UNKNOWN: repository name not known");
}

TEST_F(ConformanceTest, ListingTags_WhatIsNoListIsRefused) {
  for (const char* body : {"", "[]", "{}", R"({"tags":"a"})", R"({"tags":[1]})", "<html>"}) {
    answer_ = [body](const net::ServerRequest&) {
      return net::Response{.status = 200, .headers = {}, .body = body};
    };
    const auto list = tags("app:1");
    ASSERT_FALSE(list) << body;
    EXPECT_EQ(list.error().kind, ErrorKind::kInvalid) << body;
  }
}

// What is no tag by the grammar could not be pulled.
TEST_F(ConformanceTest, ListingTags_WhatIsNoTagIsLeftOut) {
  answer_ = [](const net::ServerRequest&) {
    return net::Response{.status = 200, .headers = {}, .body = R"({"tags":["a","b c","../x",""]})"};
  };
  EXPECT_EQ(tags("app:1")->tags, std::vector<std::string>{"a"});
}

TEST_F(ConformanceTest, ListingTags_APageThatLeadsToItselfEnds) {
  answer_ = [](const net::ServerRequest& request) {
    return net::Response{.status = 200,
                         .headers = {{"Link", "<" + std::string(request.path) + "?" +
                                                  std::string(request.query) + ">; rel=\"next\""}},
                         .body = R"({"tags":["a"]})"};
  };
  const auto list = tags("app:1");
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(asked().size(), 1U);
}

TEST_F(ConformanceTest, ListingTags_PagesHaveAnEnd) {
  int page = 0;
  answer_ = [&page](const net::ServerRequest&) {
    return net::Response{.status = 200,
                         .headers = {{"Link", "</v2/app/tags/list?last=" + std::to_string(page++) +
                                                  ">; rel=\"next\""}},
                         .body = R"({"tags":[]})"};
  };
  const auto list = tags("app:1");
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ErrorKind::kTooLarge);
  EXPECT_EQ(asked().size(), kMaxTagPages);
}

// With the credential that fits, which is the pull scope's.
TEST_F(ConformanceTest, ListingTags_AnswersTheChallenge) {
  answer_ = [](const net::ServerRequest& request) {
    const std::string* header = net::find_header(request.headers, "Authorization");
    if (header == nullptr) {
      net::Response refused = error(401, "{}");
      refused.headers.push_back({"WWW-Authenticate", "Basic realm=\"r\""});
      return refused;
    }
    return net::Response{.status = 200, .headers = {}, .body = R"({"tags":["a"]})"};
  };
  const auto list = tags("app:1", {{.username = "u", .password = "p", .source = "secret a/pull"}});
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->credential_source, "secret a/pull");
}

// image-spec: the time is in the annotations of an index or a manifest, or in the configuration.
class CreationTest : public ConformanceTest {
 protected:
  CreationTest() {
    answer_ = [this](const net::ServerRequest& request) {
      const std::string name(request.path.substr(request.path.rfind('/') + 1));
      const auto found = bodies_.find(name);
      if (found == bodies_.end()) return error(404, "{}");
      return net::Response{.status = 200, .headers = {}, .body = found->second};
    };
  }
  std::string put(std::string body) {
    const std::string digest = "sha256:" + sha256_hex(body);
    bodies_[digest] = std::move(body);
    return digest;
  }
  static std::string descriptor(const std::string& digest, const std::string& more = "") {
    return R"({"digest":")" + digest + "\"" + more + "}";
  }
  std::string created(const std::string& digest) {
    const auto made =
        resolver_->created({.reference = image::Reference::parse(host_ + "/app@" + digest).value()},
                           Deadline::after(seconds{10}));
    return made ? to_rfc3339(made->time) : made.error().message;
  }

  std::map<std::string, std::string> bodies_;  // by digest
};

TEST_F(CreationTest, InTheConfigurationOfAnIndexsFirstImage) {
  const std::string config = put(R"({"created":"2026-01-31T08:15:00.123456789Z"})");
  const std::string image = put(R"({"config":)" + descriptor(config) + "}");
  const std::string attestation =
      put(R"({"annotations":{"org.opencontainers.image.created":"2020-01-01T00:00:00Z"}})");
  const std::string index =
      put(R"({"manifests":[)" +
          descriptor(attestation, R"(,"annotations":{"vnd.docker.reference.type":"x"})") + "," +
          descriptor(image) + "]}");
  EXPECT_EQ(created(index), "2026-01-31T08:15:00Z");
  EXPECT_EQ(asked(), (Asked{"GET /v2/app/manifests/" + index, "GET /v2/app/manifests/" + image,
                            "GET /v2/app/blobs/" + config}));
  EXPECT_EQ(created(image), "2026-01-31T08:15:00Z");
}

TEST_F(CreationTest, AnAnnotationIsOneRequest) {
  const std::string index = put(
      R"({"manifests":[],"annotations":{"org.opencontainers.image.created":"2026-02-01T00:00:00+01:00"}})");
  EXPECT_EQ(created(index), "2026-01-31T23:00:00Z");
  EXPECT_EQ(asked().size(), 1U);
}

TEST_F(CreationTest, WhatSaysNothingOrLies) {
  const std::string silent = put(R"({"config":)" + descriptor(put("{}")) + "}");
  EXPECT_EQ(created(silent),
            host_ + "/app@" + silent + ": the image does not say when it was made");
  const std::string other = "sha256:" + std::string(64, 'a');
  bodies_[other] = R"({"created":"2026-01-31T08:15:00Z"})";
  EXPECT_EQ(created(other), host_ + "/app@" + other + ": a body does not have the digest " + other);
}

}  // namespace
}  // namespace tidemark::registry
