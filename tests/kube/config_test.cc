#include "kube/config.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "temp_dir.h"

namespace tidemark::kube {
namespace {

namespace fs = std::filesystem;
using tidemark::testing::TempDir;

// $KUBECONFIG for the length of a test.
class KubeconfigVariable {
 public:
  explicit KubeconfigVariable(const std::string& value) {
    ::setenv("KUBECONFIG", value.c_str(), 1);
  }
  ~KubeconfigVariable() { ::unsetenv("KUBECONFIG"); }
  KubeconfigVariable(const KubeconfigVariable&) = delete;
  KubeconfigVariable& operator=(const KubeconfigVariable&) = delete;
};

std::string one_context(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
         "clusters: [{name: k, cluster: {" +
         cluster +
         "}}]\n"
         "users: [{name: u, user: {" +
         user +
         "}}]\n"
         "contexts: [{name: c, context: {cluster: k, user: u, namespace: team}}]\n";
}

Result<ClusterConfig> parse(const TempDir& dir, const std::string& text) {
  return kubeconfig({.path = dir.write("config", text), .context = ""});
}

TEST(Kubeconfig, ReadsInlineData) {
  const TempDir dir;
  const auto config =
      parse(dir, one_context("server: 'https://k.test:6443', certificate-authority-data: Q0E=, "
                             "tls-server-name: kubernetes, proxy-url: 'http://proxy:3128'",
                             "client-certificate-data: Q0VSVA==, client-key-data: S0VZ"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server.str(), net::Url::parse("https://k.test:6443")->str());
  EXPECT_EQ(config->ca_pem, "CA");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->proxy_url, "http://proxy:3128");
  ASSERT_TRUE(config->client_pair);
  EXPECT_EQ(config->client_pair->certificate_pem, "CERT");
  EXPECT_EQ(config->client_pair->key_pem, "KEY");
  EXPECT_EQ(config->default_namespace, "team");
}

TEST(Kubeconfig, FilesAreRelativeToIt) {
  const TempDir dir;
  dir.write("ca.pem", "CA");
  dir.write("c.pem", "CERT");
  dir.write("k.pem", "KEY");
  const auto config =
      parse(dir, one_context("server: 'https://k.test', certificate-authority: ca.pem",
                             "client-certificate: c.pem, client-key: '" +
                                 (dir.path() / "k.pem").string() + "', tokenFile: tok"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->ca_pem, "CA");
  EXPECT_EQ(config->client_pair->key_pem, "KEY");
  EXPECT_EQ(config->token_file, dir.path() / "tok");
}

TEST(Kubeconfig, ReadsAnExecPlugin) {
  const TempDir dir;
  const auto config = parse(
      dir, one_context("server: 'https://k.test'",
                       "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/login, "
                       "args: [a, 'b c'], env: [{name: X, value: y}], provideClusterInfo: true, "
                       "interactiveMode: IfAvailable}"));
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->exec);
  EXPECT_EQ(fs::path(config->exec->command).lexically_normal(), dir.path() / "bin/login");
  EXPECT_EQ(config->exec->args, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(config->exec->env.at("X"), "y");
  EXPECT_TRUE(config->exec->provide_cluster_info);
}

TEST(Kubeconfig, MistakesNameFileAndKey) {
  const TempDir dir;
  const std::string server = "server: 'https://k.test'";
  const std::vector<std::pair<std::string, std::string>> rows{
      {one_context("", ""), "clusters[k].server"},
      {one_context("server: 'ftp://x'", ""), "clusters[k].server"},
      {one_context(server + ", certificate-authority: nope.pem", ""),
       "clusters[k].certificate-authority"},
      {one_context(server + ", certificate-authority-data: '%%'", ""),
       "clusters[k].certificate-authority-data"},
      {one_context(server + ", insecure-skip-tls-verify: true, certificate-authority-data: Q0E=",
                   ""),
       "clusters[k].insecure-skip-tls-verify"},
      {one_context(server, "username: a, password: b"), "users[u].username"},
      {one_context(server, "auth-provider: {name: gcp}"), "users[u].auth-provider"},
      {one_context(server, "as: admin"), "users[u].as"},
      {one_context(server, "client-certificate-data: Q0E="), "users[u].client-key"},
      {one_context(server, "exec: {command: x}"), "users[u].exec.apiVersion"},
      {one_context(server, "exec: {apiVersion: client.authentication.k8s.io/v1}"),
       "users[u].exec.command"},
      {"current-context: x\n", "no context named x"},
      {"apiVersion: v1\n", "no current-context"},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n", "contexts[c].cluster"},
      {"[1, 2]", "no YAML map"},
      {"a: [", "config"},
      {"clusters: [{cluster: {}}]", "config"},
      {one_context("server: [1]", ""), "config"},
  };
  for (const auto& [text, expected] : rows) {
    const auto config = parse(dir, text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().kind, ErrorKind::kInvalid) << text;
    EXPECT_NE(config.error().message.find(expected), std::string::npos) << config.error().message;
    EXPECT_NE(config.error().message.find(dir.path().string()), std::string::npos)
        << config.error().message;
  }
}

TEST(Kubeconfig, TheListIsMergedAndTheFirstWins) {
  const TempDir dir;
  const auto first = dir.write("first",
                               "clusters: [{name: k, cluster: {server: 'https://first.test'}}]\n"
                               "users: [{name: u, user: {token: t1}}]\n");
  const auto second = dir.write("second",
                                "current-context: c\n"
                                "clusters: [{name: k, cluster: {server: 'https://second.test'}}]\n"
                                "contexts: [{name: c, context: {cluster: k, user: u}},"
                                " {name: d, context: {cluster: k}}]\n");
  const KubeconfigVariable variable((dir.path() / "missing").string() + ":" + first.string() +
                                    "::" + second.string());
  const auto config = kubeconfig({});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server.host, "first.test");
  EXPECT_EQ(config->token, "t1");
  const auto anonymous = discover_config({.path = "", .context = "d"});
  ASSERT_TRUE(anonymous) << anonymous.error().message;
  EXPECT_EQ(anonymous->token, "");
}

TEST(Kubeconfig, AMissingFileIsNotFound) {
  const TempDir dir;
  const auto config = kubeconfig({.path = dir.path() / "none", .context = ""});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::kNotFound);
}

TEST(InCluster, ReadsTheServiceAccount) {
  const TempDir dir;
  dir.write("token", "tok\n");
  dir.write("ca.crt", "CA");
  dir.write("namespace", "tidemark\n");
  const auto config =
      in_cluster_config({.host = "fd00::1", .port = "443", .account_dir = dir.path()});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server.host, "fd00::1");
  EXPECT_EQ(config->token, "tok");
  EXPECT_EQ(config->token_file, dir.path() / "token");
  EXPECT_EQ(config->ca_pem, "CA");
  EXPECT_EQ(config->default_namespace, "tidemark");
}

TEST(InCluster, OutsideOfAPodIsNotFound) {
  const TempDir dir;
  EXPECT_EQ(in_cluster_config({.host = "", .port = "", .account_dir = dir.path()}).error().kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(in_cluster_config({.host = "10.0.0.1", .port = "443", .account_dir = dir.path()})
                .error()
                .kind,
            ErrorKind::kNotFound);
}

}  // namespace
}  // namespace tidemark::kube
