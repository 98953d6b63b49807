#include "sweeper/page.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>

#include "base/version.h"
#include "sweeper/cluster.h"
#include "sweeper/live.h"
#include "sweeper/page_api.h"
#include "sweeper/page_assets.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

// Three workloads in two namespaces: one up to date, one held, one whose registry does not answer.
class PageTest : public LiveTest {
 protected:
  PageTest() {
    cluster_.add_namespace("team-b");
    cluster_.add_namespace("tidemark-system");
    cluster_.resolver.serve(kImage, fake_digest('b'));
    put({.name = "quiet", .containers = {{.stamp = stamp_text(kImage, 'b')}}});
    Spec held;
    held.annotations["tidemark.dev/hold"] = "true";
    held.annotations["tidemark.dev/hold-reason"] = "<script>alert(1)</script>";
    held.annotations["tidemark.dev/history"] =
        workload::dump_history({{.time = "2025-12-31T19:00:00Z",
                                 .slot = "app",
                                 .from = stamp_text(kImage, 'd'),
                                 .to = stamp_text(kImage, 'a'),
                                 .why = "moved",
                                 .by = "tidemark-sweeper"}});
    put(held);
    put({.ns = "team-b",
         .name = "db",
         .containers = {
             {.image = "dead.test:5000/db:1", .stamp = stamp_text("dead.test:5000/db:1", 'c')}}});
    cluster_.put_pod(Spec{}, "web-1", "x@" + fake_digest('a').str());
  }

  void put(const Spec& spec) { cluster_.put(spec); }

  net::Response ask(std::string_view path, std::string_view query = "",
                    std::string_view method = "GET", const net::Headers& headers = {}) {
    return answer_page(
        {.method = method, .path = path, .query = query, .headers = headers, .body = ""}, *live_);
  }

  json api(const std::string& name, std::string_view query = "") {
    const net::Response response = ask("/api/v1/" + name, query);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(header(response, "Content-Type"), "application/json");
    return json::parse(response.body);
  }

  static std::string header(const net::Response& response, std::string_view name) {
    const std::string* found = net::find_header(response.headers, name);
    return found == nullptr ? "" : *found;
  }

  std::vector<std::string> workloads(std::string_view query) {
    std::vector<std::string> out;
    const json page = api("slots", query);
    for (const json& row : page["rows"]) out.push_back(row["workload"]);
    return out;
  }

  // What is known a second later, once this holds.
  bool soon_known(const std::function<bool()>& holds) {
    return soon([&] {
      cluster_.clock.advance(kRowsAreFresh);
      return holds();
    });
  }
};

using Names = std::vector<std::string>;

const registry::QuotaLeft kQuota{
    .registry = "registry.test", .left = 76, .limit = 100, .to_come = std::chrono::hours{6}};

TEST_F(PageTest, ServesItsFilesAndNothingElse) {
  start();
  for (const auto& [path, type] : std::vector<std::pair<std::string, std::string>>{
           {"/", "text/html; charset=utf-8"},
           {"/app.css", "text/css; charset=utf-8"},
           {"/app.js", "text/javascript; charset=utf-8"},
           {"/table.js", "text/javascript; charset=utf-8"},
           {"/dom.js", "text/javascript; charset=utf-8"},
           {"/icon.svg", "image/svg+xml"},
           {"/api/v1/openapi.json", "application/json"}}) {
    const net::Response response = ask(path);
    EXPECT_EQ(response.status, 200) << path;
    EXPECT_EQ(header(response, "Content-Type"), type);
    EXPECT_FALSE(response.body.empty());
    EXPECT_EQ(ask(path, "", "HEAD").status, 200);
  }
  for (const char* path : {"/index.html", "/favicon.ico", "/api", "/api/v1/", "/api/v1/secrets",
                           "/api/v2/slots", "/../etc/passwd", "//app.js", "/v1/status/"}) {
    EXPECT_EQ(ask(path).status, 404) << path;
  }
}

TEST_F(PageTest, OnlyGetAndHead) {
  lead();
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    for (const char* path : {"/", "/api/v1/slots", "/nothing"}) {
      const net::Response response = ask(path, "", method);
      EXPECT_EQ(response.status, 405);
      EXPECT_EQ(header(response, "Allow"), "GET, HEAD");
    }
  }
  EXPECT_EQ(ask("/api/v1/slots", "", "HEAD").status, 200);
}

TEST_F(PageTest, EveryAnswerHasTheStrictHeaders) {
  lead();
  for (const auto& [path, query, method] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"/", "", "GET"},
           {"/nothing", "", "GET"},
           {"/", "", "POST"},
           {"/api/v1/slots", "", "GET"},
           {"/api/v1/slots", "limit=0", "GET"},
           {"/api/v1/events", "", "GET"}}) {
    const net::Response response = ask(path, query, method);
    EXPECT_EQ(header(response, "Content-Security-Policy"),
              "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
              "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    EXPECT_EQ(header(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header(response, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(header(response, "Access-Control-Allow-Origin"), "");
  }
  EXPECT_EQ(header(ask("/api/v1/slots"), "Cache-Control"), "no-store");
  EXPECT_EQ(header(ask("/api/v1/slots", "limit=0"), "Cache-Control"), "no-store");
}

TEST_F(PageTest, AFileThatIsKnownIsNotSentAgain) {
  start();
  const net::Response first = ask("/app.js");
  const std::string etag = header(first, "ETag");
  EXPECT_EQ(header(first, "Cache-Control"), "no-cache");
  for (const std::string& known : {etag, "W/" + etag, "\"x\", " + etag, std::string("*")}) {
    const net::Response again = ask("/app.js", "", "GET", {{"If-None-Match", known}});
    EXPECT_EQ(again.status, 304) << known;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(header(again, "ETag"), etag);
  }
  EXPECT_EQ(ask("/app.css", "", "GET", {{"If-None-Match", etag}}).status, 200);
  std::set<std::string_view> etags;
  for (const Asset& asset : page_assets()) etags.insert(asset.etag);
  EXPECT_EQ(etags.size(), page_assets().size());
}

TEST_F(PageTest, TheFilesNameNothingElsewhere) {
  for (const Asset& asset : page_assets()) {
    for (const char* word : {"http:", "https:", "innerHTML", "insertAdjacentHTML", "document.write",
                             "eval(", "onclick=", "style=", "src=\"/", "href=\"/"}) {
      if (asset.path == "/icon.svg" && std::string_view(word) == "http:")
        continue;  // its namespace
      EXPECT_EQ(asset.body.find(word), std::string_view::npos) << asset.path << ": " << word;
    }
  }
}

TEST_F(PageTest, AReplicaThatStandsBySaysSo) {
  start();
  for (const char* name : {"overview", "slots", "timeline", "events"}) {
    const net::Response response = ask(std::string("/api/v1/") + name);
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "{\"error\":\"another replica leads\"}\n");
    EXPECT_EQ(header(response, "Content-Type"), "application/json");
  }
  EXPECT_EQ(ask("/").status, 200);
  lead();
  EXPECT_EQ(ask("/api/v1/overview").status, 200);
  live_->stand_by();
  EXPECT_EQ(ask("/api/v1/overview").status, 503);
  live_->lead(*inventory_);
  EXPECT_EQ(ask("/api/v1/overview").body, "{\"error\":\"no sweep yet\"}\n");
}

TEST_F(PageTest, OverviewCountsWhatIsThere) {
  lead();
  cluster_.clock.advance(std::chrono::seconds{12});
  const json overview = api("overview");
  EXPECT_EQ(overview["version"], build_version());
  EXPECT_EQ(overview["leading"], true);
  EXPECT_EQ(overview["ageSeconds"], 12);
  EXPECT_EQ(overview["workloads"], 3);
  EXPECT_EQ(overview["slots"], 3);
  EXPECT_EQ(overview["verdicts"], (json{{"held", 1}, {"unresolved", 1}, {"up-to-date", 1}}));
  ASSERT_EQ(overview["registries"].size(), 2U);
  EXPECT_EQ(overview["registries"][0]["name"], "dead.test:5000");
  EXPECT_EQ(overview["registries"][0]["unresolved"], 1);
  EXPECT_FALSE(overview["registries"][0]["reason"].get<std::string>().empty());
  EXPECT_EQ(overview["registries"][1],
            (json{{"name", "registry.test"}, {"slots", 2}, {"unresolved", 0}}));
  EXPECT_EQ(overview["problems"], json::array());
  EXPECT_EQ(overview["truncated"], false);
}

TEST_F(PageTest, TheOverviewTellsWhatARegistryWillStillAnswer) {
  lead();
  const std::string before = api("overview")["generation"];
  cluster_.resolver.tell_quota(kQuota);
  cluster_.clock.advance(kRowsAreFresh);
  const json overview = api("overview");
  EXPECT_NE(overview["generation"], before);
  EXPECT_EQ(overview["registries"][1]["quota"],
            (json{{"left", 76}, {"limit", 100}, {"seconds", 21600}}));
  EXPECT_FALSE(overview["registries"][0].contains("quota"));

  cluster_.resolver.tell_quota(
      {.registry = "mirror.test", .left = 1, .to_come = std::chrono::hours{1}});
  cluster_.clock.advance(kRowsAreFresh);
  EXPECT_EQ(api("overview")["registries"].size(), 2U) << "no image names it";
}

TEST_F(PageTest, SlotsAreFilteredAndPaged) {
  lead();
  EXPECT_EQ(workloads(""), (Names{"deployment/quiet", "deployment/web", "deployment/db"}));
  EXPECT_EQ(workloads("namespace=team-b"), Names{"deployment/db"});
  EXPECT_EQ(workloads("verdict=held"), Names{"deployment/web"});
  EXPECT_EQ(workloads("q=DEAD.test%3A5000"), Names{"deployment/db"});
  EXPECT_EQ(workloads("q=team-a%2Fdeployment%2Fw"), Names{"deployment/web"});
  EXPECT_EQ(workloads("q=no+such+thing"), Names{});
  EXPECT_EQ(workloads("workload=deployment/web&slot=app"), Names{"deployment/web"});
  EXPECT_EQ(workloads("workload=deployment/we"), Names{});
  EXPECT_EQ(workloads("slot=ap"), Names{});
  EXPECT_EQ(workloads("namespace=&verdict=&q="), workloads(""));
  EXPECT_EQ(workloads("offset=1&limit=1"), Names{"deployment/web"});
  EXPECT_EQ(workloads("offset=3"), Names{});
  EXPECT_EQ(api("slots", "offset=2&limit=1&namespace=team-a")["total"], 2);
  EXPECT_EQ(workloads("q=&limit=500").size(), 3U);
}

TEST_F(PageTest, BadParametersAreNamed) {
  lead();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"limit=0", "limit: a number from 1 to 500"},
      {"limit=501", "limit: a number from 1 to 500"},
      {"limit=", "limit: a number from 1 to 500"},
      {"limit=5x", "limit: a number from 1 to 500"},
      {"limit=99999999999999999999", "limit: a number from 1 to 500"},
      {"limit", "limit: a number from 1 to 500"},
      {"offset=-1", "offset: a number from 0 to 10000000"},
      {"offset=10000001", "offset: a number from 0 to 10000000"},
      {"namespace=A", "namespace: no name of a namespace"},
      {"verdict=broken", "verdict: no such state"},
      {"q=a&q=b", "q: given twice"},
      {"q=%zz", "q: not percent-encoded"},
      {"q=%4", "q: not percent-encoded"},
      {"q=" + std::string(201, 'a'), "q: at most 200 bytes"},
      {"slot=" + std::string(601, 'a'), "slot: at most 600 bytes"},
      {"page=2", "no such parameter: page"},
      {"=", "no such parameter: "}};
  for (const auto& [query, message] : cases) {
    const net::Response response = ask("/api/v1/slots", query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_EQ(json::parse(response.body)["error"], message);
  }
  EXPECT_EQ(ask("/api/v1/timeline", "limit=501").status, 400);
  EXPECT_EQ(ask("/api/v1/timeline", "offset=1").status, 400);
  EXPECT_EQ(ask("/api/v1/overview", "x=1").status, 400);
  EXPECT_EQ(ask("/api/v1/events", "lastEventId=1").status, 400);
}

TEST_F(PageTest, TheTimelineHasTheNewestFirstAndWhatStood) {
  Spec late{.ns = "team-b", .name = "late"};
  late.annotations["tidemark.dev/history"] =
      workload::dump_history({{.time = "2025-12-31T20:00:00Z",
                               .slot = "app",
                               .from = "",
                               .to = stamp_text(kImage, 'a'),
                               .why = "created",
                               .by = "kubectl"}});
  put(late);
  lead();
  const json timeline = api("timeline");
  EXPECT_EQ(timeline["total"], 2);
  EXPECT_EQ(timeline["rows"][0]["workload"], "deployment/late");
  EXPECT_FALSE(timeline["rows"][0].contains("rolledFrom"));
  EXPECT_EQ(timeline["rows"][1]["since"], "2025-12-31T19:00:00Z");
  EXPECT_EQ(timeline["rows"][1]["rolledFrom"], stamp_text(kImage, 'd'));
  EXPECT_EQ(timeline["rows"][1]["stamp"], fake_digest('a').str());
  const json newest = api("timeline", "limit=1");
  EXPECT_EQ(newest["rows"].size(), 1U);
  EXPECT_EQ(newest["total"], 2);
}

TEST_F(PageTest, AnEventIsTheGenerationAndEnds) {
  lead();
  const net::Response response = ask("/api/v1/events");
  EXPECT_EQ(header(response, "Content-Type"), "text/event-stream");
  EXPECT_EQ(header(response, "Cache-Control"), "no-store");
  const std::string generation = api("overview")["generation"];
  EXPECT_EQ(response.body, "retry: 2000\nid: " + generation + "\ndata: {\"generation\":\"" +
                               generation + "\",\"ageSeconds\":0}\n\n");
}

TEST_F(PageTest, TheGenerationChangesWithTheRowsAlone) {
  lead();
  const std::string before = api("overview")["generation"];
  cluster_.clock.advance(std::chrono::seconds{60});
  EXPECT_EQ(api("overview")["generation"], before);
  Spec free;
  free.annotations["tidemark.dev/sweep"] = "roll";
  cluster_.api.push_event("/apis/apps/v1/deployments", kube::WatchEvent::kModified,
                          object_of(free).dump());
  EXPECT_TRUE(soon_known([&] { return api("overview")["generation"] != before; }));
  EXPECT_EQ(workloads("verdict=roll"), Names{"deployment/web"});
}

TEST_F(PageTest, RowsAreSharedForASecondAndLetGoWhenNobodyAsks) {
  lead();
  std::weak_ptr<const KnownRows> first = live_->rows().value();
  EXPECT_EQ(live_->rows().value(), first.lock());
  cluster_.clock.advance(kRowsAreFresh - std::chrono::milliseconds{1});
  EXPECT_EQ(live_->rows().value(), first.lock());
  cluster_.clock.advance(std::chrono::milliseconds{1});
  const std::weak_ptr<const KnownRows> second = live_->rows().value();
  EXPECT_TRUE(first.expired());
  cluster_.clock.advance(kRowsAreKept - std::chrono::milliseconds{1});
  live_->let_go();
  EXPECT_FALSE(second.expired());
  cluster_.clock.advance(std::chrono::milliseconds{1});
  live_->let_go();
  EXPECT_TRUE(second.expired());
}

TEST_F(PageTest, PodsThatCannotBeWatchedAreAProblemBesideTheRest) {
  lead();
  cluster_.api.before([](const auto& call) -> std::optional<Error> {
    if (call.path != "/api/v1/pods") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "may not watch pods"};
  });
  cluster_.api.end_watch("/api/v1/pods");
  ASSERT_TRUE(soon_known([&] { return api("overview")["problems"].size() == 1; }));
  EXPECT_EQ(api("overview")["problems"][0]["error"], "may not watch pods");
  EXPECT_EQ(api("slots")["total"], 3);
}

TEST_F(PageTest, ListsThatTenantsChooseHaveABound) {
  KnownRows known;
  for (int i = 0; i < 1000; ++i) {
    StatusRow& row = known.status.rows.emplace_back();
    row.ns = "n" + std::to_string(i);
    row.workload = "deployment/web";
    row.image = "r" + std::to_string(i) + ".test/a:1";
    known.status.problems.push_back({.ns = "", .what = "x", .error = {}});
  }
  known.status.rows.back().verdict = Verdict::kUnresolved;
  known.status.rows.back().reason = "\xff\xfe";
  const json overview = json::parse(overview_json(known));
  for (const char* list : {"namespaces", "registries", "problems"}) {
    EXPECT_EQ(overview[list].size(), kMaxOverviewEntries) << list;
  }
  EXPECT_EQ(overview["registries"][0]["name"], "r999.test");
  EXPECT_EQ(overview["truncated"], true);
  EXPECT_EQ(json::parse(slots_json(known, {.limit = kMaxPageRows}))["rows"].size(), kMaxPageRows);
}

TEST(Generation, TellsEveryFieldApart) {
  std::vector<StatusRow> rows(12);
  rows[1].ns = "b";
  rows[2].workload = "x";
  rows[3].slot = "t";
  rows[4].image = "j";
  rows[5].stamped = fake_digest('a');
  rows[6].registry = fake_digest('a');
  rows[7].running.without = 1;
  rows[8].verdict = Verdict::kHeld;
  rows[9].reason = "r";
  rows[10].since = "2026-01-01T00:00:00Z";
  rows[11].rolled_from = "f";
  std::set<std::string> seen{generation_of({})};
  for (const StatusRow& each : rows) {
    EXPECT_TRUE(seen.insert(generation_of({.status = {.rows = {each}, .problems = {}}})).second);
  }
  const KnownRows problem{
      .status = {.rows = {}, .problems = {{.ns = "", .what = "p", .error = {}}}}};
  EXPECT_TRUE(seen.insert(generation_of(problem)).second);
  EXPECT_TRUE(seen.insert(generation_of({.status = {}, .quotas = {kQuota}})).second);
}

// As far as answers of objects go: `value` has what the schema asks for and nothing that it does
// not know. (tests/browser validates real answers with a whole validator.)
class Schemas {
 public:
  explicit Schemas(const json& document) : document_(document) {}

  void check(const json& schema, const json& value, const std::string& where) const {
    if (schema.contains("$ref")) {
      const std::string pointer = schema["$ref"].get<std::string>().substr(1);
      return check(document_.at(json::json_pointer(pointer)), value, where);
    }
    if (schema.contains("properties")) check_object(schema, value, where);
    if (schema.contains("enum")) {
      EXPECT_NE(std::ranges::find(schema["enum"], value), schema["enum"].end()) << where;
    }
    if (!schema.contains("items")) return;
    for (const json& item : value) check(schema["items"], item, where + "[]");
  }

 private:
  void check_object(const json& schema, const json& value, const std::string& where) const {
    for (const json& key : schema["required"]) {
      EXPECT_TRUE(value.contains(key.get<std::string>())) << where << " has no " << key;
    }
    for (const auto& [key, member] : value.items()) {
      ASSERT_TRUE(schema["properties"].contains(key)) << where << " may have no " << key;
      check(schema["properties"][key], member, where + "." + key);
    }
  }
  const json& document_;
};

TEST_F(PageTest, TheDocumentSaysWhatIsAnswered) {
  cluster_.resolver.tell_quota(kQuota);
  lead();
  const json document = json::parse(ask("/api/v1/openapi.json").body);
  const Schemas schemas(document);
  for (const char* name : {"overview", "slots", "timeline"}) {
    schemas.check(document["paths"]["/" + std::string(name)]["get"]["responses"]["200"]["content"]
                          ["application/json"]["schema"],
                  api(name), name);
  }
  const json states = document["components"]["schemas"]["State"]["enum"];
  EXPECT_EQ(states.size(), static_cast<std::size_t>(Verdict::kOff) + 1);
  for (const json& state : states) EXPECT_TRUE(parse_verdict(state.get<std::string>())) << state;
  for (const json& parameter : document["paths"]["/slots"]["get"]["parameters"]) {
    const std::string name = parameter["name"];
    const json& schema = parameter["schema"];
    const std::string value = schema.contains("maximum") ? schema["maximum"].dump()
                              : name == "verdict"        ? "held"
                                                         : std::string("a");
    EXPECT_EQ(ask("/api/v1/slots", name + "=" + value).status, 200) << name;
  }
}

}  // namespace
}  // namespace tidemark::sweeper
