package check

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// TestDeployment holds the repository to every check.
func TestDeployment(t *testing.T) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			for _, err := range c.Run(t.Context(), absolute(t, root)) {
				t.Error(err)
			}
		})
	}
}

// TestPlanted plants one mistake at a time in a copy of the repository: a check that finds nothing proves nothing.
func TestPlanted(t *testing.T) {
	const (
		base   = "deploy/kubernetes/base/"
		task   = "deploy/ecs/task-definition.json"
		alerts = "deploy/monitoring/alerts.yaml"
		board  = "deploy/monitoring/dashboards/nexus-campus.json"
		test   = ".github/workflows/test.yml"
	)
	for _, c := range []struct{ name, check, file, old, new, want string }{
		{"a key of a service", "compose", composeFile, "stop_grace_period: 60s", "stop_grace_periods: 60s", "stop_grace_periods"},
		{"a service that is not there", "compose", composeFile, "node3: {condition", "node4: {condition", "node4"},
		{"a condition", "compose", composeFile, "{condition: service_completed_successfully}", "{condition: service_done}", "condition"},
		{"a variable", "compose", composeFile, "NEXUS_TRUSTED_PROXIES:", "NEXUS_TRUSTED_PROXY:", "NEXUS_TRUSTED_PROXY"},
		{"a secret that nobody makes", "compose", composeFile, "secrets/jwt-secret}", "secrets/jwt-secrets}", "jwt-secrets"},
		{"a secret that is not given", "compose", composeFile, "/run/secrets/cluster_key", "/run/secrets/clusterkey", "clusterkey"},
		{"a mount of nothing", "compose", composeFile, "./deploy/compose/role.sh", "./deploy/compose/roles.sh", "roles.sh"},
		{"no bound", "compose", composeFile, `cpus: "1", memory: 256m}`, `cpus: "1"}`, "nginx may use all memory"},

		{"an instruction", "dockerfile", dockerfile, "STOPSIGNAL", "STOPSIGNALS", "STOPSIGNALS"},
		{"a flag", "dockerfile", dockerfile, "COPY --from=build /out", "COPY --form=build /out", "form"},
		{"a stage", "dockerfile", dockerfile, "COPY --from=build /out", "COPY --from=built /out", "no stage built"},
		{"an argument", "dockerfile", dockerfile, "FROM ${GO_IMAGE}", "FROM ${GO_IMAGES}", "GO_IMAGES"},
		{"an image of root", "dockerfile", dockerfile, "USER 65532:65532", "USER root", "USER root"},
		{"a variable of the image", "dockerfile", dockerfile, "NEXUS_ADDR=:4000", "NEXUS_ADDRESS=:4000", "NEXUS_ADDRESS"},
		{"another health check", "dockerfile", dockerfile, `CMD ["/nexus", "health"]`, `CMD ["/nexus", "version"]`, "does not ask"},

		{"a key of a task", "ecs", task, `"essential"`, `"essentials"`, "essentials"},
		{"a key's case", "ecs", task, `"networkMode"`, `"NetworkMode"`, "NetworkMode"},
		{"a value", "ecs", task, `"awsvpc"`, `"awspvc"`, "awspvc"},
		{"a variable of a task", "ecs", task, "NEXUS_CLUSTER_SEEDS", "NEXUS_CLUSTER_SEED", "NEXUS_CLUSTER_SEED"},
		{"a placeholder", "ecs", task, "${NEXUS_ORIGIN}", "${NEXUS_ORIGINS}", "NEXUS_ORIGINS"},
		{"a comma", "ecs", "deploy/ecs/service.json", `"FARGATE",`, `"FARGATE"`, "invalid character"},
		{"a key of a target group", "ecs", "deploy/ecs/target-group.json", `"HealthCheckPath"`, `"HealthcheckPath"`, "HealthcheckPath"},

		{"a field", "kubernetes", base + "deployment.yaml", "terminationGracePeriodSeconds", "terminationGracePeriod", "terminationGracePeriod"},
		{"a field's case", "kubernetes", base + "scale.yaml", "maxUnavailable: 1", "maxunavailable: 1", "maxunavailable"},
		{"a version", "kubernetes", base + "scale.yaml", "autoscaling/v2\n", "autoscaling/v3\n", "autoscaling/v3"},
		{"a probe's port", "kubernetes", base + "deployment.yaml", "{path: /readyz, port: http}", "{path: /readyz, port: htp}", "readiness probe"},
		{"a service's port", "kubernetes", base + "services.yaml", "targetPort: gossip-udp", "targetPort: gossip_udp", "gossip_udp"},
		{"a policy's port", "kubernetes", base + "network.yaml", "- {port: links}", "- {port: link}", "link"},
		{"a variable of the campus", "kubernetes", base + "kustomization.yaml", "NEXUS_CLUSTER_BIND", "NEXUS_CLUSTERBIND", "NEXUS_CLUSTERBIND"},
		{"a file", "kubernetes", base + "kustomization.yaml", "scale.yaml", "scales.yaml", "scales.yaml"},
		{"a patch", "kubernetes", "deploy/kubernetes/production/kustomization.yaml", "/spec/template/spec/topologySpreadConstraints/1", "/spec/template/spec/topologySpread/1", "topologySpread"},
		{"an ingress's service", "kubernetes", "deploy/kubernetes/production/ingress.yaml", "{name: nexus, port: {name: http}}", "{name: nexsu, port: {name: http}}", "nexsu"},
		{"a monitor's field", "kubernetes", base + "monitor.yaml", "scrapeTimeout", "scrapeTimout", "scrapeTimout"},
		{"a stale rule", "kubernetes", base + "alerts.yaml", "severity: page", "severity: sleep", "is not what"},

		{"an expression", "monitoring", alerts, "max(nexus_sos_provisional) > 0", "max(nexus_sos_provisional > 0", "alerts.yaml"},
		{"a metric", "monitoring", alerts, "max(nexus_sos_provisional)", "max(nexus_sos_provisionals)", "nexus_sos_provisionals"},
		{"a label", "monitoring", alerts, `{reason!="closing"}`, `{cause!="closing"}`, `no label "cause"`},
		{"a sum by what is not there", "monitoring", alerts, "sum by (kind) (increase", "sum by (kinds) (increase", `"kinds"`},
		{"a bound that never fires", "monitoring", alerts, "max(nexus_sos_provisional) > 0", "max(nexus_sos_provisional) > 9", "NexusSOSNotDurable"},
		{"a bound that always fires", "monitoring", alerts, "process_max_fds{job=\"nexus\"} > 0.8", "process_max_fds{job=\"nexus\"} > 0.01", "NexusFilesRunOut"},
		{"a key of a rule", "monitoring", alerts, "annotations: {summary: \"Nodes do not", "anotations: {summary: \"Nodes do not", "anotations"},
		{"a rate of a gauge", "monitoring", board, "sum(nexus_connections)", "sum(rate(nexus_connections[5m]))", "which is a gauge"},
		{"a dashboard's metric", "monitoring", board, "min(nexus_cluster_members)", "min(nexus_cluster_member)", "nexus_cluster_member"},
		{"a dashboard's key", "monitoring", board, `"gridPos"`, `"gridpos2"`, "gridpos2"},
		{"a dashboard's legend", "monitoring", board, `{{state}}`, `{{status}}`, "status"},
		{"a scrape's key", "monitoring", "deploy/monitoring/prometheus.yml", "job_name", "jobname", "jobname"},
		{"the autoscaler's metric", "monitoring", "deploy/monitoring/adapter.yaml", "(nexus_connections{", "(nexus_connection{", "nexus_connection"},

		{"a directive", "nginx", nginxFile, "proxy_read_timeout 60s", "proxy_read_timeouts 60s", "proxy_read_timeouts"},
		{"a semicolon", "nginx", nginxFile, "keepalive 64;", "keepalive 64", "nexus.conf"},
		{"a node", "nginx", nginxFile, "server node3:4000", "server node4:4000", "node4"},
		{"repeated writes", "nginx", nginxFile, "proxy_next_upstream error timeout;", "proxy_next_upstream error timeout non_idempotent;", "non_idempotent"},
		{"believed claims", "nginx", nginxFile, "X-Forwarded-For $remote_addr", "X-Forwarded-For $http_x_forwarded_for", "X-Forwarded-For"},

		{"a page's name", "runbooks", "docs/runbooks/NexusFull.md", "# NexusFull", "# NexusFool", "NexusFull.md"},
		{"a page's metric", "runbooks", "docs/slo.md", "`nexus_sos_provisional`", "`nexus_sos_temporary`", "nexus_sos_temporary"},
		{"an alert without a page", "runbooks", alerts, "alert: NexusFull", "alert: NexusOverfull", "NexusOverfull"},
		{"a severity", "runbooks", alerts, "severity: ticket", "severity: tiket", "tiket"},

		{"a workflow's key", "workflows", test, "runs-on", "run-on", "run-on"},
		{"an expression of a workflow", "workflows", test, "github.event_name", "github.event_nam", "event_nam"},
		{"an action that moves", "workflows", test, "actions/checkout@v4.2.2", "actions/checkout@main", "not pinned"},
		{"a job that is not there", "workflows", ".github/workflows/release.yml", "needs: image", "needs: images", "images"},
	} {
		t.Run(c.check+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			copied := t.TempDir()
			copyTree(t, copied)
			path := filepath.Join(copied, c.file)
			text, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(text, []byte(c.old)) {
				t.Fatalf("%s does not hold %q (%v)", c.file, c.old, err)
			}
			if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte(c.old), []byte(c.new)), 0o600); err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, check := range Checks() {
				if check.Name == c.check {
					for _, err := range check.Run(t.Context(), copied) {
						said = append(said, err.Error())
					}
				}
			}
			if all := strings.Join(said, "\n"); all == "" || !strings.Contains(all, c.want) {
				t.Errorf("found %q, want %q", all, c.want)
			}
		})
	}
}

// copyTree copies what the checks read.
func copyTree(t *testing.T, to string) {
	t.Helper()
	for _, name := range []string{composeFile, "README.md", "docs", ".github", "Makefile", ".ci", "deploy/backup", "deploy/compose", "deploy/ecs", "deploy/image", "deploy/kubernetes", "deploy/monitoring", "deploy/nginx"} {
		from, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if from.IsDir() {
			if err := os.CopyFS(target, os.DirFS(filepath.Join(root, name))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			err = os.WriteFile(target, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// actionlint finds workflows called by others from the root of a repository.
	if out, err := exec.CommandContext(t.Context(), "git", "init", "--quiet", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
