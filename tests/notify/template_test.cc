#include "notify/template.h"

#include <gtest/gtest.h>

#include "notify/sample.h"

namespace tidemark::notify {
namespace {

using testing::sample;

std::string rendered(const std::string& text) {
  const auto made = MessageTemplate::parse(text);
  EXPECT_TRUE(made) << text << ": " << made.error().message;
  Notification notification = sample();
  notification.cluster = "prod";
  return made ? made->render(notification, [](std::string_view v) { return std::string(v); }) : "";
}

std::string problem(const std::string& text) {
  const auto made = MessageTemplate::parse(text);
  EXPECT_FALSE(made) << text;
  if (made) return "";
  EXPECT_EQ(made.error().kind, ErrorKind::kInvalid);
  EXPECT_LT(made.error().message.size(), 500U);
  return made.error().message;
}

TEST(Template, NamesInBracesStandForValues) {
  EXPECT_EQ(rendered("{reason} {kind} {namespace}/{workload} ({cluster}, {time}): {text}"),
            "Rolled Deployment team-a/web (prod, 2026-01-01T00:00:00Z): "
            "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb");
  EXPECT_EQ(rendered("{workload}{workload}"), "webweb");
  EXPECT_EQ(rendered("nothing of it"), "nothing of it");
  EXPECT_EQ(rendered(""), "");
}

TEST(Template, TwoBracesStandForOne) {
  EXPECT_EQ(rendered("{{workload}"), "{workload}");
  EXPECT_EQ(rendered("{{{workload}}"), "{web}");
  EXPECT_EQ(rendered("a } b {{"), "a } b {");
}

TEST(Template, WhatIsWrongIsNamed) {
  EXPECT_NE(problem("{wrokload}")
                .find("\"wrokload\" (workload, namespace, kind, reason, text, time, cluster"),
            std::string::npos);
  EXPECT_NE(problem("{}").find("no such value: \"\""), std::string::npos);
  EXPECT_NE(problem("{ workload }").find("no such value"), std::string::npos);
  EXPECT_NE(problem("{a{workload}").find("no such value"), std::string::npos);
  EXPECT_NE(problem("ends with {").find("without its }"), std::string::npos);
  EXPECT_NE(problem("{workload").find("without its }"), std::string::npos);
  EXPECT_NE(problem("{" + std::string(900, '\x01') + "}").find("no such value"), std::string::npos);
  EXPECT_NE(problem(std::string(1001, 'x')).find("1000 bytes"), std::string::npos);
  EXPECT_TRUE(MessageTemplate::parse(std::string(1000, 'x')));
}

TEST(Template, ValuesAreNoTemplates) {
  const auto made = MessageTemplate::parse("{workload}");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->render(sample("{text}"), [](std::string_view v) { return std::string(v); }),
            "{text}");
}

TEST(Template, EscapesValuesAndNotWhatTheOperatorWrote) {
  const auto made = MessageTemplate::parse("<!here> {workload}");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->render(sample(), [](std::string_view v) { return "[" + std::string(v) + "]"; }),
            "<!here> [web]");
}

}  // namespace
}  // namespace tidemark::notify
